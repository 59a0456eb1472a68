package tessera_test

import (
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// What the client costs beside a bare stub, per event and per request, against a real gRPC server that
// sends events that are ready:
//
//	go test -run '^$' -bench Overhead -count 5 .

func ready(tokens int) part {
	return func(stream extractStream) error {
		if err := accepted(stream); err != nil {
			return err
		}
		for i := range tokens {
			delta := &tesserav1.ExtractResponse_TokenDelta{TokenDelta: &tesserav1.TokenDelta{Text: " token", TokenCount: 1}}
			if err := stream.Send(&tesserav1.ExtractResponse{Sequence: uint64(i + 2), Event: delta}); err != nil {
				return err
			}
		}
		return stream.Send(&tesserav1.ExtractResponse{
			Sequence: uint64(tokens + 2), Event: &tesserav1.ExtractResponse_Completed{Completed: &tesserav1.Completed{}},
		})
	}
}

func BenchmarkOverhead(b *testing.B) {
	request := &tesserav1.ExtractRequest{
		Files: []*tesserav1.InputFile{{Content: make([]byte, 20_000)}},
		Task:  &tesserav1.ExtractRequest_Prompt{Prompt: "?"},
	}
	for name, tokens := range map[string]int{"Request": 1, "Stream2000": 2000} {
		b.Run(name+"/Bare", func(b *testing.B) {
			_, address := play(b, ready(tokens))
			conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			stub := tesserav1.NewExtractionServiceClient(conn)
			for b.Loop() {
				stream, err := stub.Extract(b.Context(), request)
				for err == nil {
					_, err = stream.Recv()
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/Client", func(b *testing.B) {
			_, address := play(b, ready(tokens))
			client := dial(b, address)
			for b.Loop() {
				for _, err := range client.StreamRequest(b.Context(), request) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
