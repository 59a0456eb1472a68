package tessera_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// The client and its examples, the interop cases that apply, and tools that people use, against a real
// server. cancel_after_begin and cancel_after_first_response are scenarios of conformance.
func TestAgainstServer(t *testing.T) {
	address := testserver.Address(t)
	client := dial(t, address)
	pages, err := tessera.ReadFiles(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("ExtractReturnsTheDocument", func(t *testing.T) {
		answer, err := client.Extract(t.Context(), tessera.Document{Files: pages, Type: "receipt"})
		if err != nil {
			t.Fatal(err)
		}
		var receipt struct {
			Total string `json:"TOTAL_AMOUNT"`
		}
		if err := answer.Decode(&receipt); err != nil || receipt.Total != "$5976.93" {
			t.Errorf("%v, %v", receipt, err)
		}
		if field := answer.Field("/TOTAL_AMOUNT"); field.GetNormalized().GetStringValue() != "5976.93" {
			t.Errorf("%v", field)
		}
	})
	t.Run("Batch", func(t *testing.T) { batches(t, client) })
	t.Run("WatchModelInfo", func(t *testing.T) {
		for info, err := range client.WatchModelInfo(t.Context()) {
			if err != nil || info.GetState() != tesserav1.ServingState_SERVING_STATE_READY {
				t.Errorf("%v, %v", info, err)
			}
			break
		}
	})
	t.Run("LargeUnary", func(t *testing.T) {
		// Bytes after the end of a PNG are no part of the picture.
		large := append(append([]byte{}, pages[0]...), make([]byte, 20<<20)...)
		two := uint32(2)
		_, err := client.Extract(t.Context(), tessera.Document{
			Files: [][]byte{large}, Prompt: "Who?", Generation: &tesserav1.GenerationOptions{MaxOutputTokens: &two},
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("TimeoutOnSleepingServer", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := client.Extract(ctx, tessera.Document{Files: pages, Type: "receipt"})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("CustomMetadata", func(t *testing.T) {
		ctx := metadata.AppendToOutgoingContext(t.Context(),
			"x-grpc-test-echo-initial", "a value", "x-grpc-test-echo-trailing-bin", "\xab\x00")
		var header, trailers metadata.MD
		_, err := client.Stub.ModelInfo(ctx, &tesserav1.ModelInfoRequest{Model: "another"}, grpc.Header(&header), grpc.Trailer(&trailers))
		if status.Code(err) != codes.NotFound {
			t.Error(err)
		}
		// Unknown metadata, binary too, is no reason to fail; the server's own, binary too, arrives.
		if found := metadata.Join(header, trailers); len(found.Get("grpc-status-details-bin")) != 1 {
			t.Errorf("the server's metadata: %v", found)
		}
	})
	t.Run("StatusCodeAndMessage", func(t *testing.T) {
		name := "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
		_, err := client.Stub.ModelInfo(t.Context(), &tesserav1.ModelInfoRequest{Model: name})
		if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), "☺ and non-BMP 😈") {
			t.Error(err)
		}
	})
	t.Run("Unimplemented", func(t *testing.T) {
		conn := connection(t, address)
		for _, method := range []string{"/tessera.v1.ExtractionService/NoSuchMethod", "/no.such.Service/Method"} {
			err := conn.Invoke(t.Context(), method, &tesserav1.ModelInfoRequest{}, &tesserav1.ModelInfoResponse{})
			if status.Code(err) != codes.Unimplemented {
				t.Errorf("%s: %v", method, err)
			}
		}
	})
	t.Run("ReflectionListsTheService", func(t *testing.T) { reflectionListsTheService(t, connection(t, address)) })
	t.Run("Examples", func(t *testing.T) { examples(t, address) })
	t.Run("Tools", func(t *testing.T) { tools(t, address) })
}

func connection(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func reflectionListsTheService(t *testing.T, conn *grpc.ClientConn) {
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
		if listed.GetName() == "tessera.v1.ExtractionService" {
			return
		}
	}
	t.Errorf("the service is not in %v", response)
}

func examples(t *testing.T, address string) {
	bin := t.TempDir()
	command(t, "go", "build", "-o", bin+"/", "./examples/...")
	folder := t.TempDir()
	page, err := os.ReadFile(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"a.png": page, "broken.png": []byte("no image")} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	batch, err := exec.Command(bin+"/batch", "-address", address, folder).Output()
	if err == nil || !strings.Contains(string(batch), "$5976.93") || !strings.Contains(string(batch), "INVALID_FIELD") {
		t.Errorf("batch: %v\n%s", err, batch)
	}
	sample := testserver.Sample("receipt-01.png")
	if out := command(t, bin+"/fields", "-address", address, sample); !strings.Contains(out, "/TOTAL_AMOUNT") {
		t.Errorf("fields: %s", out)
	}
	if out := command(t, bin+"/cancel", "-address", address, sample); strings.TrimSpace(out) != `"Racheal"` {
		t.Errorf("cancel: %s", out)
	}
}

// Programs of others that the documentation has recipes for.
var toolModules = map[string]string{
	"grpcurl":           "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
	"grpc-health-probe": "github.com/grpc-ecosystem/grpc-health-probe@v0.4.42",
	"ghz":               "github.com/bojand/ghz/cmd/ghz@v0.121.0",
}

// tools runs the recipes of clients/README.md. Without network, or where the tools are not built, it says so.
func tools(t *testing.T, address string) {
	bin := os.Getenv("TESSERA_TOOLS")
	if bin == "" {
		t.Skip("builds grpcurl, grpc-health-probe and ghz: set TESSERA_TOOLS to a folder that keeps them")
	}
	for name, module := range toolModules {
		if _, err := os.Stat(filepath.Join(bin, name)); err == nil {
			continue
		}
		install := exec.Command("go", "install", module)
		install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod")
		if output, err := install.CombinedOutput(); err != nil {
			t.Skipf("%s cannot be built here: %s", name, output)
		}
	}
	grpcurl := filepath.Join(bin, "grpcurl")
	if out := command(t, grpcurl, "-plaintext", address, "describe", "tessera.v1.ExtractionService"); !strings.Contains(out, "rpc Extract") {
		t.Error(out)
	}
	if out := command(t, grpcurl, "-plaintext", address, "tessera.v1.ExtractionService/ModelInfo"); !strings.Contains(out, "SERVING_STATE_READY") {
		t.Error(out)
	}
	request := requestFile(t)
	extract := exec.CommandContext(t.Context(), grpcurl, "-plaintext", "-d", "@", address, "tessera.v1.ExtractionService/Extract")
	stdin, err := os.Open(request)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	extract.Stdin = stdin
	if out, err := extract.CombinedOutput(); err != nil || !strings.Contains(string(out), "$5976.93") {
		t.Errorf("%v\n%s", err, out)
	}
	probe := filepath.Join(bin, "grpc-health-probe")
	for _, service := range []string{"", "tessera.v1.ExtractionService"} {
		if out := command(t, probe, "-addr="+address, "-service="+service); !strings.Contains(out, "SERVING") {
			t.Error(out)
		}
	}
	if out, err := exec.Command(probe, "-addr="+address, "-service=no.such.Service").CombinedOutput(); err == nil {
		t.Errorf("a service that is not there is healthy: %s", out)
	}
	load(t, filepath.Join(bin, "ghz"), request)
}

// requestFile is what jq writes in the recipes.
func requestFile(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"files":  []any{map[string]any{"content": page}},
		"schema": map[string]any{"documentType": "DOCUMENT_TYPE_RECEIPT"},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// load makes load on the fake model, as the recipe does: every call ends well.
func load(t *testing.T, ghz, request string) {
	address := testserver.Start(t, nil, "--weights", "fake:step=1ms")
	out := command(t, ghz, "--insecure", "--call", "tessera.v1.ExtractionService/Extract", "--data-file", request,
		"--concurrency", "8", "--total", "40", "--timeout", "120s", "--format", "json", address)
	var report struct {
		Count                  int
		StatusCodeDistribution map[string]int
		Rps                    float64
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report.Count != 40 || report.StatusCodeDistribution["OK"] != 40 || report.Rps <= 0 {
		t.Errorf("%+v", report)
	}
}

// command runs a program that has to succeed, and returns what it wrote.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, output)
	}
	return string(output)
}
