// What holds of every stream of events.

package tessera_test

import (
	"slices"
	"strings"
	"testing"

	tessera "github.com/tessera-server/tessera/clients/go"
)

// checkStream is what holds of every stream.
func checkStream(t *testing.T, events []tessera.Event, whole bool) {
	t.Helper()
	var text strings.Builder
	var fields []string
	for i, event := range events {
		if event.Sequence() != uint64(i+1) {
			t.Errorf("event %d has sequence %d", i+1, event.Sequence())
		}
		if (kind(event) == "accepted") != (i == 0) {
			t.Errorf("event %d is %s", i+1, kind(event))
		}
		if (kind(event) == "completed") != (whole && i == len(events)-1) {
			t.Errorf("event %d of %d is %s", i+1, len(events), kind(event))
		}
		switch event := event.(type) {
		case tessera.TokenDelta:
			text.WriteString(event.GetText())
		case tessera.FieldCompleted:
			fields = append(fields, event.GetPointer()+event.GetRaw())
		}
	}
	if !whole {
		return
	}
	completed, ok := events[len(events)-1].(tessera.Completed)
	if !ok {
		t.Fatalf("the last of %v is not completed", kinds(events))
	}
	if text.Len() > 0 && text.String() != completed.GetText() {
		t.Errorf("the pieces make %q, the whole is %q", text.String(), completed.GetText())
	}
	var last []string
	for _, field := range completed.GetFields() {
		last = append(last, field.GetPointer()+field.GetRaw())
	}
	if fields != nil && !slices.Equal(fields, last) {
		t.Errorf("fields %v, at the end %v", fields, last)
	}
}

func checkOrder(t *testing.T, events []tessera.Event, pointers []string) {
	done, lastToken := map[string]int{}, 0
	for i, event := range events {
		switch event := event.(type) {
		case tessera.TokenDelta:
			lastToken = i
		case tessera.FieldCompleted:
			done[event.GetPointer()] = i
		}
	}
	for _, pointer := range pointers {
		if at, found := done[pointer]; !found || at > lastToken {
			t.Errorf("%s is event %d, the last token %d", pointer, at, lastToken)
		}
	}
}

func kind(event tessera.Event) string {
	switch event.(type) {
	case tessera.Accepted:
		return "accepted"
	case tessera.DocumentTypeFound:
		return "document_type"
	case tessera.Progress:
		return "progress"
	case tessera.TokenDelta:
		return "token_delta"
	case tessera.FieldDelta:
		return "field_delta"
	case tessera.FieldCompleted:
		return "field_completed"
	case tessera.Completed:
		return "completed"
	}
	return "unknown"
}

func kinds(events []tessera.Event) []string {
	var found []string
	for _, event := range events {
		found = append(found, kind(event))
	}
	return found
}
