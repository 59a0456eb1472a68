package tessera

import (
	"context"
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
	client    *Client
	inFlight  int
	documents iter.Seq2[Document, error]

	// Guards all below but the signals, which three goroutines and the reader share.
	mutex sync.Mutex
	begun bool
	open  map[string]*entry
	// Documents that the server says to send again, by time. The server does not have them.
	again []*entry
	// Messages to send.
	outbox []*tesserav1.BatchExtractRequest
	// Outcomes that are not of the server, until they are read.
	told    []BatchEvent
	taken   int
	drained bool
	// The source runs: it was asked for a document, and has not answered.
	asked bool
	// The reader is gone, and did not wait for the source.
	left bool
	// What the source panicked with.
	broken any
	// No document is sent again behind it. Zero: there is none.
	deadline time.Time

	toSend, toTake, toRead signal
}

// signal says "look again" to the one who waits for it.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) give() {
	select {
	case s <- struct{}{}:
	default:
	}
}

type entry struct {
	index               int
	request             *tesserav1.ExtractRequest
	attempt             int
	at                  time.Time
	answered, cancelled bool
}

// Batch reads many documents over one call. They are taken from documents as there is room, by a goroutine of
// the batch, which nothing else waits for: a source may be slow, or wait for the outcome of an earlier document. Where
// it has an error instead, that is the document's outcome. When the batch ends before its source, yield returns
// false; a source that waits for something else then is left alone, and should end with its context. Documents
// without a RequestID get one, and those without a Priority that of a batch. A context without a deadline leaves the
// call without one: a batch is as long as its caller makes it.
func (c *Client) Batch(documents iter.Seq2[Document, error], options ...BatchOption) *Batch {
	b := &Batch{
		client: c, inFlight: defaultInFlight, documents: documents, open: map[string]*entry{},
		toSend: newSignal(), toTake: newSignal(), toRead: newSignal(),
	}
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
// outcome.
func (b *Batch) Cancel(requestID string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	entry := b.open[requestID]
	if entry == nil || entry.cancelled {
		return
	}
	entry.cancelled = true
	if waits := slices.Index(b.again, entry); waits >= 0 {
		// The server knows nothing of it.
		b.again = slices.Delete(b.again, waits, waits+1)
		delete(b.open, requestID)
		stopped := status.Error(codes.Canceled, "the document was stopped by its caller")
		b.told = append(b.told, BatchEvent{Index: entry.index, RequestID: requestID, Err: fromError(stopped)})
	} else {
		b.outbox = append(b.outbox, &tesserav1.BatchExtractRequest{
			Message: &tesserav1.BatchExtractRequest_CancelRequestId{CancelRequestId: requestID},
		})
	}
	b.changed()
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
	return failureOf(codes.Code(failure.GetCode()), failure.GetMessage(), details...)
}
