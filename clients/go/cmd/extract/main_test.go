package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

const (
	service    = "tessera.v1.ExtractionService"
	sample     = "../../../../models/tessera-tiny/samples/receipt-01.png"
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
	callLimit  = 2 * time.Minute
)

// The server under test: TESSERA_ADDR (a running one) or TESSERA_BIN (a binary to start).
func TestAgainstServer(t *testing.T) {
	address := serverAddress(t)
	conn, err := dial(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	client := tesserav1.NewExtractionServiceClient(conn)

	t.Run("ExamplePrintsTheAnswer", func(t *testing.T) {
		var stdout, stderr bytes.Buffer
		args := []string{"-address", address, "-document-type", "receipt", sample}
		if err := run(t.Context(), args, &stdout, &stderr); err != nil {
			t.Fatalf("%s\n%s", explain(err), stderr.String())
		}
		if !strings.Contains(stdout.String(), "DOCUMENT_TYPE") {
			t.Errorf("no document in %q", stdout.String())
		}
	})
	t.Run("StreamKeepsTheContract", func(t *testing.T) { streamKeepsTheContract(t, client) })
	t.Run("CancelledCallLeavesTheServerWorking", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := extract(ctx, client, receipt(t), func(*tesserav1.ExtractResponse) { cancel() })
		if status.Code(err) != codes.Canceled {
			t.Fatalf("got %v, want CANCELLED", err)
		}
		responses(t, client, receipt(t))
	})
	t.Run("EmptyRequestNamesEveryBadField", func(t *testing.T) { emptyRequestNamesEveryBadField(t, client) })
	t.Run("UnknownModelIsNotFound", func(t *testing.T) {
		request := receipt(t)
		request.Model = "no-such-model"
		info := errorInfo(t, refusal(t, client, request, codes.NotFound))
		if info.GetReason() != "MODEL_NOT_FOUND" {
			t.Errorf("got %v", info)
		}
	})
	t.Run("ReflectionListsTheService", func(t *testing.T) {
		stream, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// A failed call shows itself in Recv; Send only says that the stream has ended.
		_ = stream.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
		})
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, listed := range response.GetListServicesResponse().GetService() {
			if listed.GetName() == service {
				return
			}
		}
		t.Errorf("%s is not in %v", service, response)
	})
}

func streamKeepsTheContract(t *testing.T, client tesserav1.ExtractionServiceClient) {
	got := responses(t, client, receipt(t))
	var text strings.Builder
	supplier, lastToken := -1, -1
	for i, response := range got {
		if response.GetSequence() != uint64(i+1) {
			t.Errorf("message %d has sequence %d", i+1, response.GetSequence())
		}
		if (response.GetAccepted() != nil) != (i == 0) {
			t.Errorf("message %d of %d is %v", i+1, len(got), response)
		}
		if (response.GetCompleted() != nil) != (i == len(got)-1) {
			t.Errorf("message %d of %d is %v", i+1, len(got), response)
		}
		text.WriteString(response.GetTokenDelta().GetText())
		if response.GetTokenDelta() != nil {
			lastToken = i
		}
		if response.GetFieldCompleted().GetPointer() == "/SUPPLIER_NAME" {
			supplier = i
		}
	}
	if supplier < 0 || supplier > lastToken {
		t.Errorf("the supplier is message %d, the last token %d", supplier, lastToken)
	}
	if id := got[0].GetAccepted().GetRequestId(); id != "go-quick-start" {
		t.Errorf("request id %q", id)
	}
	completed := got[len(got)-1].GetCompleted()
	if completed.GetText() != text.String() {
		t.Errorf("the pieces make %q, the whole is %q", text.String(), completed.GetText())
	}
	if completed.GetFinishReason() != tesserav1.FinishReason_FINISH_REASON_STOP {
		t.Errorf("finish reason %s", completed.GetFinishReason())
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(completed.GetDocumentJson()), &document); err != nil {
		t.Fatalf("%v: %s", err, completed.GetDocumentError())
	}
	if document["DOCUMENT_TYPE"] != "receipt" {
		t.Errorf("document %v", document)
	}
}

func emptyRequestNamesEveryBadField(t *testing.T, client tesserav1.ExtractionServiceClient) {
	failure := refusal(t, client, &tesserav1.ExtractRequest{}, codes.InvalidArgument)
	if info := errorInfo(t, failure); info.GetDomain() != "tessera" || info.GetReason() != "INVALID_FIELD" {
		t.Errorf("got %v", info)
	}
	bad := map[string]bool{}
	for _, detail := range failure.Details() {
		if detail, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range detail.GetFieldViolations() {
				bad[violation.GetField()] = violation.GetDescription() != ""
			}
		}
	}
	if !bad["files"] || !bad["task"] {
		t.Errorf("violations %v", bad)
	}
}

func receipt(t *testing.T) *tesserav1.ExtractRequest {
	t.Helper()
	request, err := buildRequest([]string{sample}, "receipt", "")
	if err != nil {
		t.Fatal(err)
	}
	request.RequestId = "go-quick-start"
	return request
}

func responses(
	t *testing.T, client tesserav1.ExtractionServiceClient, request *tesserav1.ExtractRequest,
) []*tesserav1.ExtractResponse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	var got []*tesserav1.ExtractResponse
	collect := func(response *tesserav1.ExtractResponse) { got = append(got, response) }
	if err := extract(ctx, client, request, collect); err != nil {
		t.Fatal(explain(err))
	}
	return got
}

func refusal(
	t *testing.T, client tesserav1.ExtractionServiceClient, request *tesserav1.ExtractRequest, want codes.Code,
) *status.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	err := extract(ctx, client, request, func(response *tesserav1.ExtractResponse) {
		t.Errorf("a message before the refusal: %v", response)
	})
	failure, ok := status.FromError(err)
	if err == nil || !ok || failure.Code() != want {
		t.Fatalf("got %v, want %s", err, want)
	}
	return failure
}

func errorInfo(t *testing.T, failure *status.Status) *errdetails.ErrorInfo {
	t.Helper()
	for _, detail := range failure.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	t.Fatalf("no ErrorInfo in %v", failure)
	return nil
}

// serverAddress is the `host:port` of a server that is ready.
func serverAddress(t *testing.T) string {
	t.Helper()
	if address := os.Getenv("TESSERA_ADDR"); address != "" {
		waitUntilServing(t, address, nil)
		return address
	}
	binary := os.Getenv("TESSERA_BIN")
	if binary == "" {
		t.Skip("needs a server: set TESSERA_ADDR=host:port or TESSERA_BIN=path/to/tessera")
	}
	address := freeAddress(t)
	output, err := os.Create(filepath.Join(t.TempDir(), "log.txt"))
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command(binary, "serve", "--listen", address)
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
	waitUntilServing(t, address, exited)
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
func waitUntilServing(t *testing.T, address string, exited chan error) {
	t.Helper()
	conn, err := dial(address)
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
