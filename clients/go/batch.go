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

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// Documents of a batch on their way at once. Limits.MaxBatchInFlight of a server is the most that it takes.
const defaultInFlight = 16

// BatchOption sets something of a batch.
type BatchOption func(*Batch)

// InFlight bounds the documents that are on their way at once. Default: 16.
func InFlight(documents int) BatchOption {
	return func(b *Batch) { b.inFlight = max(1, documents) }
}

// BatchEvent is what happened to one document.
type BatchEvent struct {
	// Index says which one it was of those given, from 0.
	Index     int
	RequestID string
	// Event is nil where there is an Err.
	Event Event
	// Err ends the document, as [Completed] does: an [*Error] of the server, or what its source said.
	Err error
}

// IsOutcome says whether nothing follows for this document.
func (e BatchEvent) IsOutcome() bool {
	_, completed := e.Event.(Completed)
	return completed || e.Err != nil
}

// BatchResult is the outcome of one document: its answer, or Err.
type BatchResult struct {
	Index     int
	RequestID string
	*Extraction
	Err error
}

// Batch is many documents over one call. It begins with [Batch.Events] or [Batch.Results], of which only one
// is used, once.
type Batch struct {
	client   *Client
	inFlight int
	next     func() (Document, error, bool)
	stop     func()

	// Guards all below, which the goroutine that sends shares.
	mutex sync.Mutex
	open  map[string]*entry
	// Documents that the server says to send again, by time.
	again []again
	// Messages that go before documents.
	outbox []*tesserav1.BatchExtractRequest
	// Documents of which no request could be made.
	unsent  []BatchEvent
	taken   int
	drained bool
	// Has room for one word: look again.
	changed chan struct{}
}

type entry struct {
	index               int
	request             *tesserav1.ExtractRequest
	attempt             int
	answered, cancelled bool
}

type again struct {
	at        time.Time
	requestID string
}

// Batch reads many documents over one call. They are taken from documents as there is room, by a goroutine of
// the batch; where their source has an error instead, that is the document's outcome. Documents without a
// RequestID get one, and those without a Priority that of a batch. A context without a deadline leaves the call
// without one: a batch is as long as its caller makes it.
func (c *Client) Batch(documents iter.Seq2[Document, error], options ...BatchOption) *Batch {
	b := &Batch{
		client: c, inFlight: defaultInFlight, open: map[string]*entry{}, changed: make(chan struct{}, 1),
	}
	b.next, b.stop = iter.Pull2(documents)
	for _, option := range options {
		option(b)
	}
	return b
}

// Results yields the outcome of each document as it comes, in no order. An error is that of the whole call, and
// nothing follows. Leaving the loop, or ending ctx, ends the work on every document. Events are not sent unless
// documents ask for them.
func (b *Batch) Results(ctx context.Context) iter.Seq2[BatchResult, error] {
	return func(yield func(BatchResult, error) bool) {
		accepted := map[int]*tesserav1.Accepted{}
		for happened, err := range b.run(ctx, true) {
			if err != nil {
				yield(BatchResult{}, err)
				return
			}
			if event, is := happened.Event.(Accepted); is {
				accepted[happened.Index] = event.Accepted
			}
			if !happened.IsOutcome() {
				continue
			}
			result := BatchResult{Index: happened.Index, RequestID: happened.RequestID, Err: happened.Err}
			if event, is := happened.Event.(Completed); is {
				result.Extraction = &Extraction{Accepted: accepted[happened.Index], Completed: event.Completed}
			}
			delete(accepted, happened.Index)
			if !yield(result, nil) {
				return
			}
		}
	}
}

// Events is as Results, with all events of every document as they happen.
func (b *Batch) Events(ctx context.Context) iter.Seq2[BatchEvent, error] { return b.run(ctx, false) }

// Cancel stops one document: its outcome is an error with codes.Canceled. Nothing happens where it has its
// outcome. It is said to the server as soon as the source of documents is not waited for.
func (b *Batch) Cancel(requestID string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if entry := b.open[requestID]; entry != nil {
		entry.cancelled = true
		b.outbox = append(b.outbox, &tesserav1.BatchExtractRequest{
			Message: &tesserav1.BatchExtractRequest_CancelRequestId{CancelRequestId: requestID},
		})
		b.wake()
	}
}

func (b *Batch) run(ctx context.Context, quiet bool) iter.Seq2[BatchEvent, error] {
	return func(yield func(BatchEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var sending sync.WaitGroup
		// The source is stopped once nobody asks it.
		defer func() { cancel(); sending.Wait(); b.stop() }()
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
		sending.Go(func() {
			b.send(ctx, stream.Send, quiet)
			// A failed call shows itself in Recv.
			_ = stream.CloseSend()
		})
		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				yield(BatchEvent{}, fromError(err))
				return
			}
			for _, event := range b.heard(message) {
				if !yield(event, nil) {
					return
				}
			}
		}
		b.mutex.Lock()
		left, done := b.takeUnsent(), b.drained && len(b.open) == 0
		b.mutex.Unlock()
		for _, event := range left {
			if !yield(event, nil) {
				return
			}
		}
		if !done {
			yield(BatchEvent{}, ErrIncomplete)
		}
	}
}

// send sends until there is no more to send, or ctx ends.
func (b *Batch) send(ctx context.Context, send func(*tesserav1.BatchExtractRequest) error, quiet bool) {
	for ctx.Err() == nil {
		message, take, wait := b.nextMessage()
		switch {
		case message != nil:
		case take:
			if message = b.take(quiet); message == nil {
				continue
			}
		case wait == 0:
			return
		default:
			timer := time.NewTimer(wait)
			select {
			case <-ctx.Done():
			case <-b.changed:
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		if send(message) != nil {
			return
		}
	}
}

// nextMessage is a message that waits, or that there is room for a document, or how long to wait; none of these
// at the end.
func (b *Batch) nextMessage() (message *tesserav1.BatchExtractRequest, take bool, wait time.Duration) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if len(b.outbox) > 0 {
		message, b.outbox = b.outbox[0], b.outbox[1:]
		return message, false, 0
	}
	wait = time.Hour
	for len(b.again) > 0 {
		first := b.again[0]
		if wait = time.Until(first.at); wait > 0 {
			break
		}
		wait, b.again = time.Hour, b.again[1:]
		if entry := b.open[first.requestID]; entry != nil {
			return extract(entry.request), false, 0
		}
	}
	if b.drained && len(b.open) == 0 {
		return nil, false, 0
	}
	return nil, !b.drained && len(b.open) < b.inFlight, wait
}

// take is the message for the next document; nil: it became none, or there is no more.
func (b *Batch) take(quiet bool) *tesserav1.BatchExtractRequest {
	document, err, found := b.next()
	var request *tesserav1.ExtractRequest
	if found && err == nil {
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
	if !found {
		b.drained = true
		return nil
	}
	index := b.taken
	b.taken++
	name := cmp.Or(document.RequestID, fmt.Sprintf("document-%d", index+1))
	if err == nil && b.open[name] != nil {
		err = fmt.Errorf("RequestID %q is on its way already: each document needs its own", name)
	}
	if err != nil {
		b.unsent = append(b.unsent, BatchEvent{Index: index, RequestID: name, Err: err})
		return nil
	}
	request.RequestId = name
	b.open[name] = &entry{index: index, request: request, attempt: 1}
	return extract(request)
}

// heard is what a message says to the caller.
func (b *Batch) heard(message *tesserav1.BatchExtractResponse) []BatchEvent {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	defer b.wake()
	events := b.takeUnsent()
	name := message.GetRequestId()
	entry := b.open[name]
	if entry == nil {
		return events
	}
	happened := BatchEvent{Index: entry.index, RequestID: name}
	switch outcome := message.GetOutcome().(type) {
	case *tesserav1.BatchExtractResponse_Error:
		if b.sendsAgain(entry, outcome.Error) {
			return events
		}
		happened.Err = fromBatchError(outcome.Error)
	case *tesserav1.BatchExtractResponse_Response:
		happened.Event = fromResponse(outcome.Response)
		entry.answered = entry.answered || happened.Event != nil
	}
	if happened.Event == nil && happened.Err == nil {
		return events // Of a newer server.
	}
	if happened.IsOutcome() {
		delete(b.open, name)
	}
	return append(events, happened)
}

// sendsAgain notes a document that may be tried again, as a call of its own would be: what has answered never is.
func (b *Batch) sendsAgain(entry *entry, failure *tesserav1.ExtractError) bool {
	code := codes.Code(failure.GetCode())
	final := entry.answered || entry.cancelled || entry.attempt >= b.client.options.attempts
	if final || failure.RetryAfter == nil || (code != codes.ResourceExhausted && code != codes.Unavailable) {
		return false
	}
	entry.attempt++
	at := time.Now().Add(failure.GetRetryAfter().AsDuration())
	b.again = append(b.again, again{at, entry.request.GetRequestId()})
	slices.SortStableFunc(b.again, func(a, b again) int { return a.at.Compare(b.at) })
	return true
}

func (b *Batch) takeUnsent() []BatchEvent {
	found := b.unsent
	b.unsent = nil
	return found
}

func (b *Batch) wake() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func extract(request *tesserav1.ExtractRequest) *tesserav1.BatchExtractRequest {
	return &tesserav1.BatchExtractRequest{Message: &tesserav1.BatchExtractRequest_Extract{Extract: request}}
}

// badRequest is what is wrong with the request. An older server names the fields only; its message says what is
// wrong with them.
func badRequest(failure *tesserav1.ExtractError) *errdetails.BadRequest {
	bad := &errdetails.BadRequest{}
	for _, violation := range failure.GetViolations() {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: violation.GetField(), Description: violation.GetDescription(),
		})
	}
	if len(bad.FieldViolations) == 0 {
		for _, field := range failure.GetFields() {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field})
		}
	}
	return bad
}

// fromBatchError is the failure of one document: the same that a call of its own would have had.
func fromBatchError(failure *tesserav1.ExtractError) error {
	said := status.New(codes.Code(failure.GetCode()), failure.GetMessage())
	details := []protoadapt.MessageV1{}
	if failure.GetReason() != "" {
		details = append(details, &errdetails.ErrorInfo{
			Reason: failure.GetReason(), Domain: "tessera", Metadata: failure.GetMetadata(),
		})
	}
	if bad := badRequest(failure); len(bad.FieldViolations) > 0 {
		details = append(details, bad)
	}
	if failure.RetryAfter != nil {
		after := durationpb.New(failure.GetRetryAfter().AsDuration())
		details = append(details, &errdetails.RetryInfo{RetryDelay: after})
	}
	if detailed, err := said.WithDetails(details...); err == nil {
		said = detailed
	}
	return fromError(said.Err())
}
