package tessera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// How a batch runs: one goroutine takes documents, one sends, one receives, and none waits for another's work.

type received struct {
	message *tesserav1.BatchExtractResponse
	err     error
}

func (b *Batch) run(ctx context.Context, quiet bool) iter.Seq2[BatchEvent, error] {
	return func(yield func(BatchEvent, error) bool) {
		if !b.begins(ctx) {
			yield(BatchEvent{}, errors.New("a batch is read once: make another"))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx, err := b.client.outgoing(ctx)
		if err != nil {
			yield(BatchEvent{}, err)
			return
		}
		stream, err := b.client.Stub.BatchExtract(ctx)
		if err != nil {
			yield(BatchEvent{}, fromError(err))
			return
		}
		messages, left, sourceEnded := make(chan received), make(chan struct{}), make(chan struct{})
		var working sync.WaitGroup
		defer b.leave(func() { cancel(); close(left); working.Wait() }, sourceEnded)
		go b.takeAll(ctx, quiet, sourceEnded)
		working.Go(func() {
			b.sendAll(ctx, stream.Send)
			// A failed call shows itself in Recv.
			_ = stream.CloseSend()
		})
		working.Go(func() { receiveAll(stream.Recv, messages, left) })
		for err == nil {
			if event, found := b.nextTold(); found {
				if !yield(event, nil) {
					return
				}
				continue
			}
			select {
			case <-b.toRead:
			case next := <-messages:
				if err = next.err; err != nil {
					break
				}
				if event, is := b.heard(next.message); is && !yield(event, nil) {
					return
				}
			}
		}
		for event, found := b.nextTold(); found; event, found = b.nextTold() {
			if !yield(event, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(BatchEvent{}, fromError(err))
		} else if !b.isDone() {
			yield(BatchEvent{}, ErrIncomplete)
		}
	}
}

// begins says whether the batch was not begun before.
func (b *Batch) begins(ctx context.Context) bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	first := !b.begun
	b.begun = true
	if first {
		b.deadline, _ = ctx.Deadline()
	}
	return first
}

// leave ends the call, and waits until the source has seen that it is not asked any more. Where it runs it may wait
// for anything, and is not waited for.
func (b *Batch) leave(end func(), sourceEnded <-chan struct{}) {
	end()
	b.mutex.Lock()
	b.left = b.asked
	left := b.left
	b.mutex.Unlock()
	if left {
		return
	}
	<-sourceEnded
	b.panics()
}

func receiveAll(
	receive func() (*tesserav1.BatchExtractResponse, error), messages chan<- received, left <-chan struct{},
) {
	for {
		message, err := receive()
		select {
		case messages <- received{message, err}:
		case <-left:
			return
		}
		if err != nil {
			return
		}
	}
}

// sendAll sends until there is no more to send, or ctx ends.
func (b *Batch) sendAll(ctx context.Context, send func(*tesserav1.BatchExtractRequest) error) {
	for ctx.Err() == nil {
		message, wait := b.nextMessage()
		if message == nil && wait == 0 {
			return
		}
		if message != nil {
			if send(message) != nil {
				return
			}
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-b.toSend:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// nextMessage is a message that waits, or how long to wait for one; neither at the end.
func (b *Batch) nextMessage() (message *tesserav1.BatchExtractRequest, wait time.Duration) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.outbox) > 0 {
		message, b.outbox = b.outbox[0], b.outbox[1:]
		return message, 0
	}
	if len(b.again) > 0 {
		first := b.again[0]
		if wait = time.Until(first.at); wait > 0 {
			return nil, wait
		}
		b.again = b.again[1:]
		return extract(first.request), 0
	}
	if b.drained && len(b.open) == 0 {
		return nil, 0
	}
	return nil, time.Hour
}

// takeAll asks the source for documents until it has no more, or ctx ends.
func (b *Batch) takeAll(ctx context.Context, quiet bool, ended chan<- struct{}) {
	defer close(ended)
	defer func() {
		// Who reads shall see it, and may recover.
		broken := recover()
		b.mutex.Lock()
		b.asked, b.drained, b.broken = false, true, broken
		left := b.left
		b.mutex.Unlock()
		b.changed()
		if broken != nil && left {
			panic(broken)
		}
	}()
	if !b.asks(ctx) {
		return
	}
	for document, err := range b.documents {
		b.take(document, err, quiet)
		if !b.asks(ctx) {
			return
		}
	}
}

// asks waits until there is room for a document, and says whether to ask for it: not where ctx ended.
func (b *Batch) asks(ctx context.Context) bool {
	for {
		b.mutex.Lock()
		// Outcomes that nobody has read yet take room, too.
		b.asked = ctx.Err() == nil && len(b.open)+len(b.told) < b.inFlight
		asked := b.asked
		b.mutex.Unlock()
		if asked || ctx.Err() != nil {
			return asked
		}
		select {
		case <-ctx.Done():
		case <-b.toTake:
		}
	}
}

// take puts a document's message into the outbox, unless it became none.
func (b *Batch) take(document Document, err error, quiet bool) {
	var request *tesserav1.ExtractRequest
	if err == nil {
		if quiet && len(document.Events) == 0 {
			// Nobody sees the pieces: they need not be sent.
			document.Events = []tesserav1.EventKind{tesserav1.EventKind_EVENT_KIND_NONE}
		}
		if document.Priority == tesserav1.Priority_PRIORITY_UNSPECIFIED {
			document.Priority = tesserav1.Priority_PRIORITY_BATCH
		}
		request, err = document.Request()
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	defer b.changed()
	index := b.taken
	b.taken++
	name := cmp.Or(document.RequestID, fmt.Sprintf("document-%d", index+1))
	if err == nil && b.open[name] != nil {
		err = fmt.Errorf("RequestID %q is on its way already: each document needs its own", name)
	}
	if err != nil {
		b.told = append(b.told, BatchEvent{Index: index, RequestID: name, Err: err})
		return
	}
	request.RequestId = name
	b.open[name] = &entry{index: index, request: request, attempt: 1}
	b.outbox = append(b.outbox, extract(request))
}

// heard is what a message says to the caller; false: nothing.
func (b *Batch) heard(message *tesserav1.BatchExtractResponse) (BatchEvent, bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	defer b.toTake.give()
	defer b.toSend.give()
	name := message.GetRequestId()
	entry := b.open[name]
	if entry == nil {
		return BatchEvent{}, false
	}
	happened := BatchEvent{Index: entry.index, RequestID: name}
	switch outcome := message.GetOutcome().(type) {
	case *tesserav1.BatchExtractResponse_Error:
		if b.sendsAgain(entry, outcome.Error) {
			return BatchEvent{}, false
		}
		happened.Err = fromBatchError(outcome.Error)
	case *tesserav1.BatchExtractResponse_Response:
		happened.Event = fromResponse(outcome.Response)
		entry.answered = entry.answered || happened.Event != nil
	}
	if happened.IsOutcome() {
		delete(b.open, name)
	}
	// Neither: of a newer server.
	return happened, happened.Event != nil || happened.Err != nil
}

// sendsAgain notes a document that may be tried again, as a call of its own would be: what has answered never is.
func (b *Batch) sendsAgain(entry *entry, failure *tesserav1.ExtractError) bool {
	code := codes.Code(failure.GetCode())
	final := entry.answered || entry.cancelled || entry.attempt >= b.client.options.attempts
	if final || failure.RetryAfter == nil || (code != codes.ResourceExhausted && code != codes.Unavailable) {
		return false
	}
	at := time.Now().Add(failure.GetRetryAfter().AsDuration())
	if !b.deadline.IsZero() && at.After(b.deadline) {
		return false
	}
	entry.attempt, entry.at = entry.attempt+1, at
	b.again = append(b.again, entry)
	slices.SortStableFunc(b.again, byTime)
	return true
}

func byTime(a, b *entry) int { return a.at.Compare(b.at) }

// nextTold is an outcome that is not of the server. It panics as the source did.
func (b *Batch) nextTold() (BatchEvent, bool) {
	b.panics()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.told) == 0 {
		return BatchEvent{}, false
	}
	event := b.told[0]
	b.told = b.told[1:]
	b.toTake.give()
	return event, true
}

// panics as the source did, once.
func (b *Batch) panics() {
	b.mutex.Lock()
	broken := b.broken
	b.broken = nil
	b.mutex.Unlock()
	if broken != nil {
		panic(broken)
	}
}

func (b *Batch) isDone() bool {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.drained && len(b.open) == 0
}

func (b *Batch) changed() {
	b.toSend.give()
	b.toTake.give()
	b.toRead.give()
}

func extract(request *tesserav1.ExtractRequest) *tesserav1.BatchExtractRequest {
	return &tesserav1.BatchExtractRequest{Message: &tesserav1.BatchExtractRequest_Extract{Extract: request}}
}
