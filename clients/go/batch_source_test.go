package tessera_test

import (
	"context"
	"errors"
	"iter"
	"maps"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// Sources that wait, fail, panic or never end, and what is left of a batch that is over.

// oneByOne is documents of which each is given once the one before has its outcome.
func oneByOne(ctx context.Context, documents ...tessera.Document) (source iter.Seq2[tessera.Document, error], heard func()) {
	outcomes := make(chan struct{}, len(documents))
	source = func(yield func(tessera.Document, error) bool) {
		for document, err := range given(documents...) {
			if !yield(document, err) {
				return
			}
			select {
			case <-outcomes:
			case <-ctx.Done():
				return
			}
		}
	}
	return source, func() { outcomes <- struct{}{} }
}

func TestASourceMayWaitForOutcomes(t *testing.T) {
	onceRefused := func(script *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		// Where the server has no room for the document that the next one waits for.
		if script.counts()[request.GetRequestId()] < 2 {
			return refuses(10*time.Millisecond)(script, stream, request)
		}
		return succeeds(script, stream, request)
	}
	wrong := page()
	wrong.Type = "receit"
	for name, test := range map[string]struct {
		play      playDocument
		documents []tessera.Document
		failed    int
	}{
		"of documents that are sent again": {onceRefused, []tessera.Document{page(), page(), page()}, 0},
		"of documents that became none":    {succeeds, []tessera.Document{{}, wrong, page()}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, address := playBatch(t, test.play)
			ctx := bounded(t)
			source, heard := oneByOne(ctx, test.documents...)
			outcomes, failed := 0, 0
			for result, err := range dial(t, address).Batch(source).Results(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if result.Index != outcomes {
					t.Errorf("document %d has outcome %d", result.Index, outcomes)
				}
				outcomes++
				if result.Err != nil {
					failed++
				}
				heard()
			}
			if outcomes != 3 || failed != test.failed {
				t.Errorf("%d outcomes, %d failed", outcomes, failed)
			}
		})
	}
}

// silent gives one document, and then waits until it is released.
func silent(t *testing.T) iter.Seq2[tessera.Document, error] {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	return func(yield func(tessera.Document, error) bool) {
		if yield(page(), nil) {
			<-release
		}
	}
}

func TestASourceThatDoesNotAnswerIsNotWaitedFor(t *testing.T) {
	for name, read := range map[string]func(context.Context, *tessera.Batch) error{
		"by who leaves the loop": func(ctx context.Context, batch *tessera.Batch) error {
			for range batch.Results(ctx) {
				break
			}
			return nil
		},
		"by who stops a document": func(ctx context.Context, batch *tessera.Batch) error {
			for event, err := range batch.Events(ctx) {
				if err != nil || event.IsOutcome() {
					return err
				}
				batch.Cancel(event.RequestID)
			}
			return nil
		},
		"by who ends the context": func(ctx context.Context, batch *tessera.Batch) error {
			ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
			defer cancel()
			if _, err := results(ctx, batch); !errors.Is(err, context.DeadlineExceeded) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			play := succeeds
			if strings.Contains(name, "stops") {
				play = begins
			}
			script, address := playBatch(t, play)
			done := make(chan error)
			go func() { done <- read(t.Context(), dial(t, address).Batch(silent(t))) }()
			for _, end := range []<-chan error{done, ended(script)} {
				select {
				case err := <-end:
					if err != nil {
						t.Error(err)
					}
				case <-time.After(10 * time.Second):
					t.Fatal("it waits")
				}
			}
		})
	}
}

func ended(script *batchScript) <-chan error {
	end := make(chan error)
	go func() { <-script.ended; end <- nil }()
	return end
}

func TestADocumentIsStoppedWhileItWaitsToBeSentAgain(t *testing.T) {
	refused := make(chan struct{}, 1)
	script, address := playBatch(t, func(script *batchScript, stream batchStream, request *tesserav1.ExtractRequest) error {
		if request.GetRequestId() != "stopped" || script.counts()["stopped"] > 1 {
			return succeeds(script, stream, request)
		}
		defer func() { refused <- struct{}{} }()
		return refuses(10*time.Second)(script, stream, request)
	})
	first := page()
	first.RequestID = "stopped"
	// Its name is free then.
	source, heard := oneByOne(bounded(t), first, first, page())
	batch := dial(t, address).Batch(source)
	go func() {
		<-refused
		// The refusal is on its way to the client.
		time.Sleep(100 * time.Millisecond)
		batch.Cancel("stopped")
	}()
	var found []codes.Code
	for result, err := range batch.Results(bounded(t)) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, status.Code(result.Err))
		heard()
	}
	if len(found) != 3 || found[0] != codes.Canceled || found[1] != codes.OK || found[2] != codes.OK {
		t.Error(found)
	}
	if want := map[string]int{"stopped": 2, "document-3": 1}; !maps.Equal(script.counts(), want) {
		t.Error(script.counts())
	}
}

func TestNothingIsSentAgainBehindTheDeadline(t *testing.T) {
	_, address := playBatch(t, refuses(time.Hour))
	found, err := results(bounded(t), dial(t, address).Batch(some(2)))
	if err != nil || status.Code(found[0].Err) != codes.ResourceExhausted || status.Code(found[1].Err) != codes.ResourceExhausted {
		t.Error(found, err)
	}
}

func TestOutcomesThatNobodyReadsTakeRoom(t *testing.T) {
	_, address := playBatch(t, succeeds)
	var taken, read, most atomic.Int64
	none := func(yield func(tessera.Document, error) bool) {
		for range 200 {
			open := taken.Add(1) - read.Load()
			most.Store(max(most.Load(), open))
			if !yield(tessera.Document{}, os.ErrNotExist) {
				return
			}
		}
	}
	for result, err := range dial(t, address).Batch(none, tessera.InFlight(4)).Results(bounded(t)) {
		if err != nil || !errors.Is(result.Err, os.ErrNotExist) {
			t.Fatal(result, err)
		}
		if read.Load() < 3 {
			time.Sleep(50 * time.Millisecond)
		}
		read.Add(1)
	}
	// Four that wait, and the one in the loop.
	if read.Load() != 200 || most.Load() > 5 {
		t.Errorf("%d outcomes, %d at once", read.Load(), most.Load())
	}
}

func TestWhoReadsSeesThePanicOfTheSource(t *testing.T) {
	script, address := playBatch(t, begins)
	broken := func(yield func(tessera.Document, error) bool) {
		_ = yield(page(), nil)
		panic("the caller's own")
	}
	func() {
		defer func() {
			if got := recover(); got != "the caller's own" {
				t.Errorf("recovered %v", got)
			}
		}()
		_, err := results(bounded(t), dial(t, address).Batch(broken))
		t.Errorf("it ended with %v", err)
	}()
	<-script.ended
}

func TestABatchIsReadOnce(t *testing.T) {
	_, address := playBatch(t, succeeds)
	batch := dial(t, address).Batch(some(1))
	if found, err := results(bounded(t), batch); err != nil || len(found) != 1 {
		t.Error(found, err)
	}
	if found, err := results(bounded(t), batch); err == nil || !strings.Contains(err.Error(), "make another") || len(found) != 0 {
		t.Error(found, err)
	}
}

// Nothing of a batch is left behind it: not the goroutines, and not its source.
func TestNothingIsLeftOfABatch(t *testing.T) {
	ours := func() int {
		stacks := make([]byte, 1<<20)
		found := string(stacks[:runtime.Stack(stacks, true)])
		return strings.Count(found, "tessera.(*Batch)") + strings.Count(found, "iter.Pull")
	}
	_, address := playBatch(t, begins)
	client := dial(t, address)
	before := ours()
	over := 0
	source := func(yield func(tessera.Document, error) bool) {
		defer func() { over++ }()
		for yield(page(), nil) {
		}
	}
	for range 20 {
		client.Batch(source) // That nobody reads.
		for range client.Batch(source, tessera.InFlight(1)).Events(bounded(t)) {
			break
		}
	}
	if left := ours() - before; left != 0 || over != 20 {
		t.Errorf("%d goroutines are left, and %d sources ended", left, over)
	}
}

// A real server that takes one document at a time, and a source that waits: both ends wait for the other in turn.
func TestARealServerAndASourceThatWaits(t *testing.T) {
	address := testserver.Start(t, nil, "--weights", "fake:step=1ms")
	files, err := tessera.ReadFiles(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	receipt := tessera.Document{Files: files, Type: "receipt"}
	ctx := bounded(t)
	source, heard := oneByOne(ctx, receipt, tessera.Document{}, receipt, tessera.Document{Files: [][]byte{[]byte("none")}, Type: "receipt"}, receipt)
	client := dial(t, address)
	var failed []int
	outcomes := 0
	for result, err := range client.Batch(source).Results(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if outcomes++; result.Err != nil {
			failed = append(failed, result.Index)
		}
		heard()
	}
	if outcomes != 5 || len(failed) != 2 || failed[0] != 1 || failed[1] != 3 {
		t.Errorf("%d outcomes, failed %v", outcomes, failed)
	}
	untilIdle(t, client)
}
