// What a scenario expects of an answer or of an error.

package tessera_test

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	tessera "github.com/tessera-server/tessera/clients/go"
)

func (s *scenario) checkAnswer(t *testing.T, events []tessera.Event) {
	accepted := events[0].(tessera.Accepted)
	completed := events[len(events)-1].(tessera.Completed)
	expect := &s.Expect
	found := kinds(events)
	if expect.Text != nil && *expect.Text != completed.GetText() {
		t.Errorf("text %q", completed.GetText())
	}
	if expect.Checks != nil {
		checks := map[string]bool{}
		for _, check := range completed.GetChecks() {
			checks[strings.TrimPrefix(check.GetRule().String(), "CHECK_RULE_")] = check.GetPassed()
		}
		if !maps.Equal(checks, expect.Checks) {
			t.Errorf("checks %v", checks)
		}
	}
	for _, wanted := range expect.Kinds {
		if !slices.Contains(found, wanted) {
			t.Errorf("no %s in %v", wanted, found)
		}
	}
	for _, kind := range found {
		if expect.OnlyKinds != nil && !slices.Contains(expect.OnlyKinds, kind) {
			t.Errorf("%s came", kind)
		}
	}
	if expect.RequestID != nil && *expect.RequestID != accepted.GetRequestId() {
		t.Errorf("request id %q", accepted.GetRequestId())
	}
	if expect.Pages != nil && *expect.Pages != len(accepted.GetTilesPerPage()) {
		t.Errorf("%d pages", len(accepted.GetTilesPerPage()))
	}
	reason := strings.TrimPrefix(completed.GetFinishReason().String(), "FINISH_REASON_")
	if expect.FinishReason != "" && expect.FinishReason != reason {
		t.Errorf("finish reason %s", reason)
	}
	if expect.OutputTokens != nil && *expect.OutputTokens != completed.GetUsage().GetOutputTokens() {
		t.Errorf("%d output tokens", completed.GetUsage().GetOutputTokens())
	}
	answer := &tessera.Extraction{Accepted: accepted.Accepted, Completed: completed.Completed}
	s.checkDocument(t, answer)
	s.checkOrigin(t, events, answer)
	checkOrder(t, events, expect.FieldsBeforeLastToken)
}

func (s *scenario) checkDocument(t *testing.T, answer *tessera.Extraction) {
	var document map[string]any
	err := answer.Decode(&document)
	switch wanted := string(s.Expect.Document); wanted {
	case "":
	case "null":
		if err == nil {
			t.Errorf("a document: %v", document)
		}
	default:
		var members map[string]any
		if err := errors.Join(err, json.Unmarshal([]byte(wanted), &members)); err != nil {
			t.Fatal(err)
		}
		for name, value := range members {
			if document[name] != value {
				t.Errorf("%s is %v, not %v", name, document[name], value)
			}
		}
	}
	for pointer, value := range s.Expect.Normalized {
		if found := answer.Field(pointer).GetNormalized(); !reflect.DeepEqual(interfaceOf(found), value) {
			t.Errorf("%s is %v, not %v", pointer, found, value)
		}
	}
}

// checkOrigin is about what is said beside the values: pages, templates, confidence, repairs.
func (s *scenario) checkOrigin(t *testing.T, events []tessera.Event, answer *tessera.Extraction) {
	expect, accepted, completed := &s.Expect, answer.Accepted, answer.Completed
	if expect.PageSources != nil && len(expect.PageSources) != len(accepted.GetPages()) {
		t.Fatalf("pages %v", accepted.GetPages())
	}
	for i, wanted := range expect.PageSources {
		page := accepted.GetPages()[i]
		found := map[string]uint32{
			"file": page.GetFile(), "page": page.GetPage(), "widthPx": page.GetWidthPx(), "heightPx": page.GetHeightPx(),
		}
		for name, value := range wanted {
			if found[name] != value {
				t.Errorf("%s of page %d is %d", name, i, found[name])
			}
		}
	}
	if expect.PromptTemplate != "" && expect.PromptTemplate != accepted.GetPromptTemplate() {
		t.Errorf("prompt template %q", accepted.GetPromptTemplate())
	}
	if wanted := expect.DocumentType; wanted != nil {
		found := 0
		for _, event := range events {
			if kind, is := event.(tessera.DocumentTypeFound); is {
				found++
				name := strings.TrimPrefix(kind.GetDocumentType().String(), "DOCUMENT_TYPE_")
				if name != wanted.Name || kind.GetPromptTemplate() != wanted.PromptTemplate ||
					kind.Confidence == nil || kind.GetUsage().GetInputTokens() == 0 {
					t.Errorf("document type %v", kind.DocumentTypeFound)
				}
			}
		}
		if found != 1 {
			t.Errorf("the document type came %d times", found)
		}
	}
	if expect.Repairs != nil {
		repairs := []string{}
		for _, repair := range completed.GetRepairs() {
			repairs = append(repairs, strings.TrimPrefix(repair.String(), "REPAIR_"))
		}
		if !slices.Equal(repairs, *expect.Repairs) {
			t.Errorf("repairs %v", repairs)
		}
	}
	if cached := completed.GetUsage().GetCachedInputTokens(); expect.IsCached != nil && (cached > 0) != *expect.IsCached {
		t.Errorf("%d cached tokens", cached)
	}
	for pointer, page := range expect.FieldPages {
		found := answer.Field(pointer)
		if found == nil || (found.Page == nil) != (page == nil) || page != nil && *page != found.GetPage() {
			t.Errorf("%s: %v", pointer, found)
		}
	}
	for _, pointer := range expect.Confident {
		field := answer.Field(pointer)
		if c, m := field.GetConfidence(), field.GetMinTokenProbability(); c <= 0 || c > 1 || m <= 0 || m > 1 {
			t.Errorf("%s: confidence %v, least token %v", pointer, c, m)
		}
	}
}

func (s *scenario) checkError(t *testing.T, events []tessera.Event, err error) {
	expect := s.Expect.Error
	var failure *tessera.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no failure of a call", err)
	}
	if code, _, _ := strings.Cut(strings.Fields(err.Error())[0], ":"); code != expect.Code {
		t.Errorf("code %s: %v", code, err)
	}
	if expect.Reason != "" && expect.Reason != failure.Reason {
		t.Errorf("reason %q: %v", failure.Reason, err)
	}
	for _, field := range expect.Violations {
		if !slices.ContainsFunc(failure.Violations, func(v tessera.FieldViolation) bool { return v.Field == field }) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
	if !strings.Contains(failure.Message, expect.MessageHas) {
		t.Errorf("message %q", failure.Message)
	}
	if expect.Events != nil && !slices.Equal(expect.Events, kinds(events)) {
		t.Errorf("events %v", kinds(events))
	}
}

func interfaceOf(value *structpb.Value) any {
	if value == nil {
		return nil
	}
	return value.AsInterface()
}
