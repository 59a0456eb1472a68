package tessera_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

func TestEachDocumentOfABatchHasItsOutcome(t *testing.T) {
	script, address := playBatch(t, func(_ *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		name := request.GetRequestId()
		if name == "bad" {
			return batchFails(stream, name, &tesserav1.ExtractError{
				Code: int32(codes.InvalidArgument), Reason: "INVALID_FIELD", Fields: []string{"files"},
				Violations: []*tesserav1.FieldViolation{{Field: "files", Description: "is empty"}},
				Metadata:   map[string]string{"limit": "max_pages"},
			})
		}
		return batchSucceeds(stream, name)
	})
	bad, wrong := page(), page()
	bad.RequestID, bad.Priority = "bad", tesserav1.Priority_PRIORITY_INTERACTIVE
	wrong.Prompt, wrong.Type = "", "receit"
	documents := given(page(), bad, tessera.Document{}, wrong, page())
	found, err := results(t.Context(), dial(t, address).Batch(documents))
	if err != nil || len(found) != 5 {
		t.Fatal(found, err)
	}
	for _, index := range []int{0, 4} {
		var document struct{ A int }
		if result := found[index]; result.Err != nil || result.Decode(&document) != nil || document.A != 1 {
			t.Error(result)
		}
	}
	var failure *tessera.Error
	if !errors.As(found[1].Err, &failure) || failure.Code != codes.InvalidArgument || failure.Reason != "INVALID_FIELD" ||
		failure.Violations[0] != (tessera.FieldViolation{Field: "files", Description: "is empty"}) ||
		failure.Metadata["limit"] != "max_pages" || failure.RetryAfter != nil {
		t.Error(found[1].Err)
	}
	if !errors.Is(found[2].Err, os.ErrNotExist) || !strings.Contains(found[3].Err.Error(), "unknown document type") {
		t.Error(found[2].Err, found[3].Err)
	}
	want := map[string]int{"document-1": 1, "bad": 1, "document-5": 1}
	if !maps.Equal(script.counts(), want) {
		t.Error(script.counts())
	}
	if script.sent[0].GetPriority() != tesserav1.Priority_PRIORITY_BATCH || script.sent[1].GetPriority() != tesserav1.Priority_PRIORITY_INTERACTIVE ||
		!slices.Equal(script.sent[0].GetEventKinds(), []tesserav1.EventKind{tesserav1.EventKind_EVENT_KIND_NONE}) {
		t.Error(script.sent)
	}
}

func TestNoMoreOfABatchAreOnTheirWayThanWasSaid(t *testing.T) {
	var mutex sync.Mutex
	taken, most, open := 0, 0, []string{}
	script, address := playBatch(t, func(script *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		open = append(open, request.GetRequestId())
		sent := 0
		for _, count := range script.counts() {
			sent += count
		}
		if len(open) < 3 && sent < 12 {
			return nil
		}
		// Room is full: whoever takes more now takes too many.
		time.Sleep(50 * time.Millisecond)
		mutex.Lock()
		most = max(most, taken-(sent-len(open)))
		mutex.Unlock()
		var err error
		for _, name := range open {
			err = errors.Join(err, batchSucceeds(stream, name))
		}
		open = nil
		return err
	})
	counted := func(yield func(tessera.Document, error) bool) {
		for document, err := range some(12) {
			mutex.Lock()
			taken++
			mutex.Unlock()
			if !yield(document, err) {
				return
			}
		}
	}
	found, err := results(t.Context(), dial(t, address).Batch(counted, tessera.InFlight(3)))
	if err != nil || len(found) != 12 || most != 3 || len(script.counts()) != 12 {
		t.Errorf("%d results, %d at once: %v", len(found), most, err)
	}
}

func TestWhatTheServerHasNoRoomForIsSentAgain(t *testing.T) {
	script, address := playBatch(t, func(script *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		name := request.GetRequestId()
		switch {
		case name == "document-1" && script.counts()[name] < 3:
			return refuses(60*time.Millisecond)(script, stream, request)
		case name == "document-2":
			return refuses(time.Millisecond)(script, stream, request)
		case name == "document-3":
			full := &tesserav1.ExtractError{Code: int32(codes.ResourceExhausted), Reason: "REQUEST_TOO_LARGE_FOR_MEMORY"}
			return batchFails(stream, name, full)
		case name == "document-4":
			failure := &tesserav1.ExtractError{
				Code: int32(codes.Unavailable), Reason: "DRAIN_TIMEOUT", RetryAfter: durationpb.New(60 * time.Millisecond),
			}
			return errors.Join(batchAccepts(stream, name), batchFails(stream, name, failure))
		}
		return batchSucceeds(stream, name)
	})
	begin := time.Now()
	found, err := results(t.Context(), dial(t, address).Batch(some(5)))
	if err != nil || time.Since(begin) < 120*time.Millisecond {
		t.Error(err, time.Since(begin))
	}
	got := []codes.Code{}
	for index := range 5 {
		got = append(got, status.Code(found[index].Err))
	}
	if !slices.Equal(got, []codes.Code{codes.OK, codes.ResourceExhausted, codes.ResourceExhausted, codes.Unavailable, codes.OK}) {
		t.Error(got)
	}
	// So often and no more; and never what would fail again, or what has answered.
	want := map[string]int{"document-1": 3, "document-2": 4, "document-3": 1, "document-4": 1, "document-5": 1}
	if !maps.Equal(script.counts(), want) {
		t.Error(script.counts())
	}
}

func TestABatchEndsAsAWhole(t *testing.T) {
	nothing := func(*batchScript, batchStream, *tesserav1.ExtractRequest) error { return nil }
	broken := func(*batchScript, batchStream, *tesserav1.ExtractRequest) error {
		return status.Error(codes.Internal, "broken")
	}
	short := func(_ *batchScript, _ batchStream, _ *tesserav1.ExtractRequest) error { return io.EOF }
	for name, test := range map[string]struct {
		play playDocument
		read func(context.Context, *tessera.Batch) error
		want codes.Code
	}{
		"by a failure": {broken, nil, codes.Internal},
		"by its deadline": {nothing, func(ctx context.Context, batch *tessera.Batch) error {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			_, err := results(ctx, batch)
			return err
		}, codes.DeadlineExceeded},
		"by its context": {begins, func(ctx context.Context, batch *tessera.Batch) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for _, err := range batch.Events(ctx) {
				if cancel(); err != nil {
					return err
				}
			}
			return nil
		}, codes.Canceled},
		"by who leaves the loop": {begins, func(ctx context.Context, batch *tessera.Batch) error {
			for range batch.Events(ctx) {
				break
			}
			return nil
		}, codes.OK},
		"by a server that stops": {short, nil, codes.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			script, address := playBatch(t, test.play)
			batch := dial(t, address).Batch(some(3))
			var err error
			if test.read == nil {
				_, err = results(t.Context(), batch)
			} else {
				err = test.read(t.Context(), batch)
			}
			if status.Code(err) != test.want {
				t.Error(err)
			}
			script.ends(t)
		})
	}
}

// It would end the call for all.
func TestADocumentThatNoServerTakesIsNotSent(t *testing.T) {
	script, address := playBatch(t, succeeds)
	large := page()
	large.Files = [][]byte{make([]byte, 64<<20)}
	client := dial(t, address)
	found, err := results(t.Context(), client.Batch(given(page(), large, page())))
	if err != nil || found[0].Err != nil || found[2].Err != nil {
		t.Fatal(found, err)
	}
	_, own := client.Extract(t.Context(), large)
	for _, err := range []error{found[1].Err, own} {
		var failure *tessera.Error
		if !errors.As(err, &failure) || failure.Code != codes.InvalidArgument || failure.Reason != "LIMIT_EXCEEDED" ||
			failure.Violations[0].Field != "files" || failure.Metadata["limit"] != "max_request_bytes" {
			t.Error(err)
		}
	}
	if want := map[string]int{"document-1": 1, "document-3": 1}; !maps.Equal(script.counts(), want) {
		t.Error(script.counts())
	}
}

func TestOKWithDocumentsLeftIsAFailure(t *testing.T) {
	if _, err := results(t.Context(), dial(t, serve(t, hasty{})).Batch(some(3))); !errors.Is(err, tessera.ErrIncomplete) {
		t.Error(err)
	}
}

// hasty ends every batch with OK, whatever was sent.
type hasty struct {
	tesserav1.UnimplementedExtractionServiceServer
}

func (hasty) BatchExtract(stream batchStream) error {
	_, err := stream.Recv()
	return err
}

// batches reads real documents over one call.
func batches(t *testing.T, client *tessera.Client) {
	page := func(name string) [][]byte {
		files, err := tessera.ReadFiles(testserver.Sample(name))
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	receipt := tessera.Document{Files: page("receipt-01.png"), Type: "receipt"}
	source := given(
		receipt,
		tessera.Document{Files: [][]byte{[]byte("no image")}, Type: "receipt"},
		tessera.Document{Files: page("invoice-01.png"), Type: "invoice", RequestID: "the-invoice"},
	)
	found, err := results(t.Context(), client.Batch(source, tessera.InFlight(2)))
	if err != nil || len(found) != 3 {
		t.Fatal(found, err)
	}
	var first, third map[string]string
	if err := found[0].Decode(&first); err != nil || first["TOTAL_AMOUNT"] != "$5976.93" {
		t.Error(first, err)
	}
	if err := found[2].Decode(&third); err != nil || third["DOCUMENT_TYPE"] != "invoice" || found[2].Accepted.GetRequestId() != "the-invoice" {
		t.Error(third, err)
	}
	var failure *tessera.Error
	if !errors.As(found[1].Err, &failure) || failure.Reason != "INVALID_FIELD" || failure.Violations[0].Field != "files[0].content" {
		t.Error(found[1].Err)
	}

	// One document is stopped in the middle; the other goes on.
	stopped := receipt
	stopped.RequestID = "stop-me"
	batch := client.Batch(given(stopped, tessera.Document{Files: page("receipt-02.png"), Type: "receipt"}))
	outcomes := map[string]tessera.BatchEvent{}
	var text strings.Builder
	for event, err := range batch.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, field := event.Event.(tessera.FieldCompleted); field && event.RequestID == "stop-me" {
			batch.Cancel("stop-me")
			batch.Cancel("unknown")
		}
		if token, is := event.Event.(tessera.TokenDelta); is && event.Index == 1 {
			text.WriteString(token.GetText())
		}
		if event.IsOutcome() {
			outcomes[event.RequestID] = event
		}
	}
	if !errors.Is(outcomes["stop-me"].Err, context.Canceled) {
		t.Error(outcomes["stop-me"])
	}
	if whole, is := outcomes["document-2"].Event.(tessera.Completed); !is || whole.GetText() != text.String() {
		t.Error(outcomes["document-2"], text.String())
	}
	untilIdle(t, client)
}
