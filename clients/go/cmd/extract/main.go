// Command extract reads one document with Tessera and prints the answer while it is written.
//
//	go run ./cmd/extract -document-type receipt receipt.png
//	go run ./cmd/extract -prompt 'Who sent this?' page-1.png page-2.png
//
// The answer goes to standard output, everything else to standard error. Several files are the
// pages of one document. Ctrl-C ends the call, and with it the work on the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

const (
	// The server's Limits.max_request_bytes of a default configuration.
	requestBytesMax  = 64 << 20
	responseBytesMax = 16 << 20

	// UNAVAILABLE (loading, draining) before the first message is safe to try again. gRPC never
	// repeats a call that has answered, so tokens do not come twice.
	serviceConfig = `{
		"loadBalancingConfig": [{"round_robin": {}}],
		"methodConfig": [{
			"name": [{"service": "tessera.v1.ExtractionService"}],
			"retryPolicy": {
				"maxAttempts": 4,
				"initialBackoff": "0.5s",
				"maxBackoff": "5s",
				"backoffMultiplier": 2,
				"retryableStatusCodes": ["UNAVAILABLE"]
			}
		}]
	}`
)

var errIncomplete = errors.New("the stream ended without `completed`")

var documentTypes = map[string]tesserav1.DocumentType{
	"receipt":        tesserav1.DocumentType_DOCUMENT_TYPE_RECEIPT,
	"invoice":        tesserav1.DocumentType_DOCUMENT_TYPE_INVOICE,
	"bank-statement": tesserav1.DocumentType_DOCUMENT_TYPE_BANK_STATEMENT,
}

func main() {
	// Stopping the process ends the context, the context ends the call.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, explain(err))
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("extract", flag.ExitOnError)
	address := flags.String("address", "localhost:50051", "`host:port` of the server")
	timeout := flags.Duration("timeout", 5*time.Minute, "deadline of the whole call")
	documentType := flags.String("document-type", "", "extract the fields of a `type`: receipt, invoice or bank-statement")
	prompt := flags.String("prompt", "", "ask this `text` instead")
	_ = flags.Parse(args) // Does not return an error: it exits.
	request, err := buildRequest(flags.Args(), *documentType, *prompt)
	if err != nil {
		return err
	}

	conn, err := dial(*address)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, *timeout)
	defer cancel()
	client := tesserav1.NewExtractionServiceClient(conn)
	return extract(ctx, client, request, func(response *tesserav1.ExtractResponse) {
		show(response, stdout, stderr)
	})
}

func buildRequest(files []string, documentType, prompt string) (*tesserav1.ExtractRequest, error) {
	if len(files) == 0 {
		return nil, errors.New("name at least one PNG, JPEG, WebP or TIFF file")
	}
	if (documentType == "") == (prompt == "") {
		return nil, errors.New("pass either -document-type or -prompt")
	}
	request := &tesserav1.ExtractRequest{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		request.Files = append(request.Files, &tesserav1.InputFile{Content: content})
	}
	if prompt != "" {
		request.Task = &tesserav1.ExtractRequest_Prompt{Prompt: prompt}
		return request, nil
	}
	known, ok := documentTypes[documentType]
	if !ok {
		return nil, fmt.Errorf("unknown document type %q", documentType)
	}
	request.Task = &tesserav1.ExtractRequest_Schema{Schema: &tesserav1.ExtractionSchema{
		Source: &tesserav1.ExtractionSchema_DocumentType{DocumentType: known},
	}}
	return request, nil
}

// dial opens a plaintext connection with the limits and retries that Tessera asks for.
func dial(address string) (*grpc.ClientConn, error) {
	return grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallSendMsgSize(requestBytesMax),
			grpc.MaxCallRecvMsgSize(responseBytesMax),
			// A request larger than this is not tried again; the default is 256 KiB.
			grpc.MaxRetryRPCBufferSize(requestBytesMax),
		),
	)
}

// extract hands each event of one call to handle; the last one is `completed`. The context's
// deadline bounds the whole stream, and ending the context cancels the work.
func extract(
	ctx context.Context,
	client tesserav1.ExtractionServiceClient,
	request *tesserav1.ExtractRequest,
	handle func(*tesserav1.ExtractResponse),
) error {
	stream, err := client.Extract(ctx, request)
	if err != nil {
		return err
	}
	completed := false
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if !completed {
				return errIncomplete
			}
			return nil
		}
		if err != nil {
			return err
		}
		completed = response.GetCompleted() != nil
		handle(response)
	}
}

func show(response *tesserav1.ExtractResponse, stdout, stderr io.Writer) {
	switch event := response.GetEvent().(type) {
	case *tesserav1.ExtractResponse_Accepted:
		fmt.Fprintf(stderr, "%s: %d page(s), %d input tokens, request %s\n",
			event.Accepted.GetModel(), len(event.Accepted.GetTilesPerPage()),
			event.Accepted.GetInputTokens(), event.Accepted.GetRequestId())
	case *tesserav1.ExtractResponse_TokenDelta:
		fmt.Fprint(stdout, event.TokenDelta.GetText())
	case *tesserav1.ExtractResponse_Completed:
		completed := event.Completed
		fmt.Fprintln(stdout)
		fmt.Fprintf(stderr, "%s: %d output tokens, first after %.3f s, all after %.3f s\n",
			completed.GetFinishReason(), completed.GetUsage().GetOutputTokens(),
			completed.GetTimings().GetTimeToFirstToken().AsDuration().Seconds(),
			completed.GetTimings().GetTotal().AsDuration().Seconds())
		if reason := completed.GetDocumentError(); reason != "" {
			fmt.Fprintf(stderr, "not a document: %s\n", reason)
		}
	}
	// Any other event, a newer server's included, is skipped.
}

// explain is the status of a failed call and its details, as text for people.
func explain(err error) string {
	failure, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	lines := []string{fmt.Sprintf("%s: %s", failure.Code(), failure.Message())}
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			lines = append(lines, fmt.Sprintf("  reason %s (%s) %v",
				detail.GetReason(), detail.GetDomain(), detail.GetMetadata()))
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				lines = append(lines, fmt.Sprintf("  %s: %s", violation.GetField(), violation.GetDescription()))
			}
		case *errdetails.RetryInfo:
			lines = append(lines, fmt.Sprintf("  try again in %s", detail.GetRetryDelay().AsDuration()))
		}
	}
	return strings.Join(lines, "\n")
}
