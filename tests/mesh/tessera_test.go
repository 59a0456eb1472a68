package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"istio.io/istio/pkg/test/util/assert"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// The bound of every wait: far above what is needed, so that only a bug meets it.
const soon = time.Minute

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NoError(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// Server is a process.
type Server struct {
	address *net.TCPAddr
	process *exec.Cmd
}

func startServer(t *testing.T, address *net.TCPAddr, flags ...string) *Server {
	t.Helper()
	binary := os.Getenv("TESSERA_BIN")
	if binary == "" {
		t.Skip("needs a server: set TESSERA_BIN=path/to/tessera")
	}
	arguments := append([]string{
		"serve", "--listen", address.String(), "--verify", "none", "--log-level", "warn", "--drain-timeout", "60s",
	}, flags...)
	process := exec.Command(binary, arguments...)
	process.Stderr = os.Stderr
	assert.NoError(t, process.Start())
	server := &Server{address, process}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	server.untilServing(t)
	return server
}

// The readiness probe of deploy/.
func (s *Server) untilServing(t *testing.T) {
	t.Helper()
	connection := dial(t, s.address.String())
	defer connection.Close()
	asked := &healthv1.HealthCheckRequest{Service: "tessera.v1.ExtractionService"}
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		answer, err := healthv1.NewHealthClient(connection).Check(context.Background(), asked)
		if err == nil && answer.Status == healthv1.HealthCheckResponse_SERVING {
			return
		}
		if time.Since(began) > soon {
			t.Fatalf("%s does not serve: %v", s.address, err)
		}
	}
}

// Sends SIGTERM; the channel has how it ended.
func (s *Server) stop() <-chan error {
	ended := make(chan error, 1)
	_ = s.process.Process.Signal(syscall.SIGTERM)
	go func() { ended <- s.process.Wait() }()
	return ended
}

// Calls are for the name of the Service, and nobody tries again but the mesh.
func dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+target, grpc.WithAuthority("tessera"),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	assert.NoError(t, err)
	return connection
}

func question(t *testing.T, tokens uint32) *tesserav1.ExtractRequest {
	t.Helper()
	page, err := os.ReadFile("../../models/tessera-tiny/samples/receipt-01.png")
	assert.NoError(t, err)
	return &tesserav1.ExtractRequest{
		Files: []*tesserav1.InputFile{{Content: page}},
		Task: &tesserav1.ExtractRequest_Schema{Schema: &tesserav1.ExtractionSchema{
			Source: &tesserav1.ExtractionSchema_DocumentType{DocumentType: tesserav1.DocumentType_DOCUMENT_TYPE_RECEIPT},
		}},
		Generation: &tesserav1.GenerationOptions{MaxOutputTokens: &tokens},
	}
}

// read takes an answer to its end: messages have no gaps, and the last one is `completed`.
func read(stream grpc.ServerStreamingClient[tesserav1.ExtractResponse]) (messages uint64, err error) {
	completed := false
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF) && completed:
			return messages, nil
		case errors.Is(err, io.EOF):
			return messages, errors.New("an answer ended well without `completed`")
		case err != nil:
			return messages, err
		}
		messages++
		if message.Sequence != messages {
			return messages, fmt.Errorf("message %d is number %d", message.Sequence, messages)
		}
		completed = message.GetCompleted() != nil
	}
}
