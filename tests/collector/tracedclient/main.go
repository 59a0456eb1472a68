// Command tracedclient reads one page with a gRPC client that OpenTelemetry's own instrumentation wraps, sends
// the client's spans to a collector, and prints the trace's id: what a Go service does that calls Tessera.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "github.com/tessera-server/tessera/clients/go/tesserav1"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: tracedclient SERVER COLLECTOR PAGE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	id, err := run(ctx, os.Args[1], os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(id)
}

func run(ctx context.Context, server, collector, page string) (string, error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(collector), otlptracegrpc.WithInsecure())
	if err != nil {
		return "", err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})

	ctx, span := otel.Tracer("tracedclient").Start(ctx, "read a page")
	if err := read(ctx, server, page); err != nil {
		return "", err
	}
	span.End()
	return span.SpanContext().TraceID().String(), provider.Shutdown(ctx)
}

func read(ctx context.Context, server, page string) error {
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	connection, err := grpc.NewClient(server, grpc.WithStatsHandler(otelgrpc.NewClientHandler()),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := pb.NewExtractionServiceClient(connection).Extract(ctx, &pb.ExtractRequest{
		Files: []*pb.InputFile{{Content: content}},
		Task: &pb.ExtractRequest_Schema{Schema: &pb.ExtractionSchema{
			Source: &pb.ExtractionSchema_DocumentType{DocumentType: pb.DocumentType_DOCUMENT_TYPE_RECEIPT},
		}},
	})
	if err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
