// Package testserver starts the server that tests talk to.
package testserver

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

const (
	service    = "tessera.v1.ExtractionService"
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
)

// Repository is the root of the repository.
func Repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "../../../..")
}

// Sample is the path of a bundled page.
func Sample(name string) string {
	return filepath.Join(Repository(), "models/tessera-tiny/samples", name)
}

// Address is the `host:port` of a server with the model in the binary: TESSERA_ADDR (a running one) or
// TESSERA_BIN (a binary to start). Without either the test is skipped.
func Address(t *testing.T) string {
	t.Helper()
	if address := os.Getenv("TESSERA_ADDR"); address != "" {
		waitUntilServing(t, address, nil, nil)
		return address
	}
	return Start(t, nil)
}

// Start starts TESSERA_BIN with these flags, to end with the test, and waits until it takes requests; security
// says how to ask it, nil: in plaintext. Without TESSERA_BIN the test is skipped.
func Start(t *testing.T, security credentials.TransportCredentials, flags ...string) string {
	t.Helper()
	binary := os.Getenv("TESSERA_BIN")
	if binary == "" {
		t.Skip("needs a server: set TESSERA_BIN=path/to/tessera; many tests also take TESSERA_ADDR=host:port")
	}
	address := freeAddress(t)
	output, err := os.Create(filepath.Join(t.TempDir(), "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, append([]string{"serve", "--listen", address}, flags...)...)
	server.Stdout, server.Stderr = output, output
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- server.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			if text, err := os.ReadFile(output.Name()); err == nil {
				t.Logf("the server's log:\n%s", text)
			}
		}
		_ = server.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(stopLimit):
			_ = server.Process.Kill()
			t.Errorf("the server did not stop within %s of SIGTERM", stopLimit)
		}
	})
	waitUntilServing(t, address, security, exited)
	return address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// waitUntilServing asks grpc.health.v1 until the service is SERVING.
func waitUntilServing(t *testing.T, address string, security credentials.TransportCredentials, exited chan error) {
	t.Helper()
	if security == nil {
		security = insecure.NewCredentials()
	}
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(security))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health := healthv1.NewHealthClient(conn)
	last := "no answer yet"
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("the server exited: %v", err)
		default:
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		response, err := health.Check(ctx, &healthv1.HealthCheckRequest{Service: service})
		cancel()
		if err == nil && response.GetStatus() == healthv1.HealthCheckResponse_SERVING {
			return
		}
		last = fmt.Sprint(response.GetStatus(), " ", err)
	}
	t.Fatalf("%s is not serving: %s", address, last)
}
