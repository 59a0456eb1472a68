package tessera_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// What the tests of batches are made of: a scripted server of real gRPC, parts that it plays, and documents.

type batchStream = grpc.BidiStreamingServer[tesserav1.BatchExtractRequest, tesserav1.BatchExtractResponse]

// playDocument is what a scripted server does about one document.
type playDocument func(*batchScript, batchStream, *tesserav1.ExtractRequest) error

// batchScript answers each document by its name.
type batchScript struct {
	tesserav1.UnimplementedExtractionServiceServer
	play playDocument
	// Of the first call.
	ended chan struct{}
	once  sync.Once

	mutex sync.Mutex
	sent  []*tesserav1.ExtractRequest
}

func (s *batchScript) BatchExtract(stream batchStream) error {
	defer s.once.Do(func() { close(s.ended) })
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if name := message.GetCancelRequestId(); name != "" {
			if err := batchFails(stream, name, &tesserav1.ExtractError{Code: int32(codes.Canceled)}); err != nil {
				return err
			}
			continue
		}
		s.mutex.Lock()
		s.sent = append(s.sent, message.GetExtract())
		s.mutex.Unlock()
		if err := s.play(s, stream, message.GetExtract()); err != nil {
			return err
		}
	}
}

func (s *batchScript) counts() map[string]int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	found := map[string]int{}
	for _, request := range s.sent {
		found[request.GetRequestId()]++
	}
	return found
}

func playBatch(t *testing.T, play playDocument) (*batchScript, string) {
	t.Helper()
	script := &batchScript{play: play, ended: make(chan struct{})}
	return script, serve(t, script)
}

func batchSays(stream batchStream, name string, event *tesserav1.ExtractResponse) error {
	return stream.Send(&tesserav1.BatchExtractResponse{
		RequestId: name, Outcome: &tesserav1.BatchExtractResponse_Response{Response: event},
	})
}

func batchAccepts(stream batchStream, name string) error {
	event := &tesserav1.ExtractResponse_Accepted{Accepted: &tesserav1.Accepted{RequestId: name}}
	return batchSays(stream, name, &tesserav1.ExtractResponse{Sequence: 1, Event: event})
}

func batchSucceeds(stream batchStream, name string) error {
	json := `{"A": 1}`
	event := &tesserav1.ExtractResponse_Completed{Completed: &tesserav1.Completed{DocumentJson: &json}}
	return errors.Join(batchAccepts(stream, name), batchSays(stream, name, &tesserav1.ExtractResponse{Sequence: 2, Event: event}))
}

func batchFails(stream batchStream, name string, failure *tesserav1.ExtractError) error {
	failure.Message = "said so"
	return stream.Send(&tesserav1.BatchExtractResponse{
		RequestId: name, Outcome: &tesserav1.BatchExtractResponse_Error{Error: failure},
	})
}

// ends fails the test where the server goes on with the first call.
func (s *batchScript) ends(t *testing.T) {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		t.Error("the server goes on")
	}
}

// given is a source of these documents; of one without files it has an error instead.
func given(documents ...tessera.Document) iter.Seq2[tessera.Document, error] {
	return func(yield func(tessera.Document, error) bool) {
		for _, document := range documents {
			var err error
			if document.Files == nil {
				err = os.ErrNotExist
			}
			if !yield(document, err) {
				return
			}
		}
	}
}

func page() tessera.Document {
	return tessera.Document{Files: [][]byte{[]byte("page")}, Prompt: "?"}
}

func some(count int) iter.Seq2[tessera.Document, error] {
	return given(slices.Repeat([]tessera.Document{page()}, count)...)
}

func results(ctx context.Context, batch *tessera.Batch) (map[int]tessera.BatchResult, error) {
	found := map[int]tessera.BatchResult{}
	for result, err := range batch.Results(ctx) {
		if err != nil {
			return found, err
		}
		found[result.Index] = result
	}
	return found, nil
}

func succeeds(_ *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
	return batchSucceeds(stream, request.GetRequestId())
}

func begins(_ *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
	return batchAccepts(stream, request.GetRequestId())
}

// refuses a document for now; after is when to come back.
func refuses(after time.Duration) playDocument {
	return func(_ *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		return batchFails(stream, request.GetRequestId(), &tesserav1.ExtractError{
			Code: int32(codes.ResourceExhausted), Reason: "BATCH_FULL", RetryAfter: durationpb.New(after),
		})
	}
}

// bounded fails the test where it would hang.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
