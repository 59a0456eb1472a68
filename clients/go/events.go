package tessera

import (
	"encoding/json"
	"errors"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// Event is one of [Accepted], [DocumentTypeFound], [Progress], [TokenDelta], [FieldDelta], [FieldCompleted], [Completed].
type Event interface {
	// Sequence is 1, 2, 3, … within one call.
	Sequence() uint64
}

type sequence uint64

func (s sequence) Sequence() uint64 { return uint64(s) }

type (
	// Accepted is always first: the request is valid and has its place in the queue.
	Accepted struct {
		sequence
		*tesserav1.Accepted
	}
	// DocumentTypeFound says what kind of document the pages are; its fields follow. Only for "auto".
	DocumentTypeFound struct {
		sequence
		*tesserav1.DocumentTypeFound
	}
	// Progress is a change of phase, or a sign of life.
	Progress struct {
		sequence
		*tesserav1.Progress
	}
	// TokenDelta is the next piece of the raw output. All pieces joined are the whole.
	TokenDelta struct {
		sequence
		*tesserav1.TokenDelta
	}
	// FieldDelta is the next piece of a string that is still being written.
	FieldDelta struct {
		sequence
		*tesserav1.FieldDelta
	}
	// FieldCompleted is a field that is whole. It does not change, and stays true if the call fails.
	FieldCompleted struct {
		sequence
		*tesserav1.ExtractedField
	}
	// Completed is always last of a call that succeeded.
	Completed struct {
		sequence
		*tesserav1.Completed
	}
)

// Extraction is the whole answer of a call that succeeded.
type Extraction struct {
	Accepted  *tesserav1.Accepted
	Completed *tesserav1.Completed
}

// Decode stores the JSON object that the model wrote, as json.Unmarshal does. It fails with the server's
// reason where there is none, as of a [BatchResult] that failed.
func (e *Extraction) Decode(into any) error {
	if e == nil {
		return errors.New("there is no answer")
	}
	if e.Completed.DocumentJson == nil {
		return errors.New("there is no document: " + e.Completed.GetDocumentError())
	}
	return json.Unmarshal([]byte(e.Completed.GetDocumentJson()), into)
}

// Field is the field of this JSON Pointer, or nil.
func (e *Extraction) Field(pointer string) *tesserav1.ExtractedField {
	if e == nil {
		return nil
	}
	for _, field := range e.Completed.GetFields() {
		if field.GetPointer() == pointer {
			return field
		}
	}
	return nil
}

// fromResponse is the event of a message; nil for one of a newer server, which is to be skipped.
func fromResponse(response *tesserav1.ExtractResponse) Event {
	s := sequence(response.GetSequence())
	switch event := response.GetEvent().(type) {
	case *tesserav1.ExtractResponse_Accepted:
		return Accepted{s, event.Accepted}
	case *tesserav1.ExtractResponse_DocumentType:
		return DocumentTypeFound{s, event.DocumentType}
	case *tesserav1.ExtractResponse_Progress:
		return Progress{s, event.Progress}
	case *tesserav1.ExtractResponse_TokenDelta:
		return TokenDelta{s, event.TokenDelta}
	case *tesserav1.ExtractResponse_FieldDelta:
		return FieldDelta{s, event.FieldDelta}
	case *tesserav1.ExtractResponse_FieldCompleted:
		return FieldCompleted{s, event.FieldCompleted}
	case *tesserav1.ExtractResponse_Completed:
		return Completed{s, event.Completed}
	}
	return nil
}
