package tessera_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

const (
	callLimit = 2 * time.Minute
	idleLimit = 10 * time.Second
)

// See clients/conformance/README.md.
type scenario struct {
	Name        string
	Files       []string
	Request     json.RawMessage
	TimeoutMs   int
	CancelAfter string
	InFlight    int
	Batch       []scenario
	Times       int
	ModelInfo   *modelInfo
	Expect      struct {
		RequestID             *string `json:"requestId"`
		Pages                 *int
		Kinds, OnlyKinds      []string
		FieldsBeforeLastToken []string
		FinishReason          string
		OutputTokens          *uint32
		Text                  *string
		Document              json.RawMessage
		Normalized            map[string]any
		Checks                map[string]bool
		PageSources           []map[string]uint32
		PromptTemplate        string
		DocumentType          *struct{ Name, PromptTemplate string }
		FieldPages            map[string]*uint32
		Confident             []string
		Repairs               *[]string
		IsCached              *bool
		Idle                  bool
		Error                 *struct {
			Code, Reason, MessageHas string
			Violations               []string
			Events                   []string
		}
	}
}

type modelInfo struct {
	ConfidenceMethod string
	CalibrationKinds *[]string
}

func TestConformance(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testserver.Repository(), "clients/conformance/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios", err)
	}
	addresses := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite struct {
			Server    []string
			Scenarios []scenario
		}
		if err := json.Unmarshal(text, &suite); err != nil {
			t.Fatal(file, err)
		}
		flags := strings.Join(suite.Server, " ")
		if _, started := addresses[flags]; !started && flags == "" {
			addresses[flags] = testserver.Address(t)
		} else if !started && os.Getenv("TESSERA_BIN") != "" {
			addresses[flags] = testserver.Start(t, nil, suite.Server...)
		}
		for _, scenario := range suite.Scenarios {
			t.Run(scenario.Name, func(t *testing.T) {
				address, started := addresses[flags]
				if !started {
					t.Skip("needs a server of its own: set TESSERA_BIN=path/to/tessera")
				}
				scenario.run(t, dial(t, address, tessera.WithAttempts(1)))
			})
		}
	}
}

func (s *scenario) run(t *testing.T, client *tessera.Client) {
	if s.ModelInfo != nil {
		s.ModelInfo.check(t, client)
		return
	}
	if s.Batch != nil {
		s.runBatch(t, client)
	} else {
		for range s.Times - 1 {
			if _, err := s.play(t, client); err != nil {
				t.Fatal(err)
			}
		}
		events, err := s.play(t, client)
		s.check(t, events, err)
	}
	if s.Expect.Idle {
		untilIdle(t, client)
	}
}

func (m *modelInfo) check(t *testing.T, client *tessera.Client) {
	status, err := client.ModelInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := status.GetCapabilities()
	if method := strings.TrimPrefix(found.GetConfidenceMethod().String(), "CONFIDENCE_METHOD_"); method != m.ConfidenceMethod {
		t.Errorf("confidence method %s", method)
	}
	calibration := found.GetCalibration()
	if (calibration != nil) != (m.CalibrationKinds != nil) {
		t.Fatalf("calibration %v", calibration)
	}
	if calibration == nil {
		return
	}
	for _, kind := range *m.CalibrationKinds {
		if !slices.Contains(calibration.GetKinds(), kind) {
			t.Errorf("no %s in %v", kind, calibration.GetKinds())
		}
	}
	if calibration.GetDocuments() == 0 {
		t.Error("calibrated on no document")
	}
	for _, check := range calibration.GetChecks() {
		if min(check.GetPassed(), check.GetFailed()) < 0 || max(check.GetPassed(), check.GetFailed()) > 1 {
			t.Error(check)
		}
	}
}

func (s *scenario) check(t *testing.T, events []tessera.Event, err error) {
	checkStream(t, events, err == nil)
	if s.Expect.Error != nil {
		s.checkError(t, events, err)
	} else if err != nil {
		t.Fatal(err)
	} else {
		s.checkAnswer(t, events)
	}
}

func (s *scenario) runBatch(t *testing.T, client *tessera.Client) {
	ctx, cancel := s.bounded(t)
	defer cancel()
	documents := map[string]*scenario{}
	batch := client.Batch(func(yield func(tessera.Document, error) bool) {
		for i := range s.Batch {
			request := s.Batch[i].request(t)
			documents[request.GetRequestId()] = &s.Batch[i]
			if !yield(documentOf(request), nil) {
				return
			}
		}
	}, tessera.InFlight(s.InFlight))
	events, errs := map[string][]tessera.Event{}, map[string]error{}
	var whole error
	for event, err := range batch.Events(ctx) {
		if whole = err; err != nil {
			break
		}
		name := event.RequestID
		if event.Err != nil {
			errs[name] = event.Err
			continue
		}
		events[name] = append(events[name], event.Event)
		if kind(event.Event) == documents[name].CancelAfter {
			batch.Cancel(name)
		}
	}
	if s.Expect.Error != nil {
		s.checkError(t, nil, whole)
		return
	}
	if whole != nil || len(documents) != len(s.Batch) {
		t.Fatal(documents, whole)
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) { document.check(t, events[name], errs[name]) })
	}
}

// documentOf says as a document what request says.
func documentOf(request *tesserav1.ExtractRequest) tessera.Document {
	document := tessera.Document{
		RequestID: request.GetRequestId(), Model: request.GetModel(), Generation: request.GetGeneration(),
		Events: request.GetEventKinds(), Priority: request.GetPriority(), Schema: request.GetSchema(), Prompt: request.GetPrompt(),
		Inputs: request.GetFiles(),
	}
	return document
}

func (s *scenario) bounded(t *testing.T) (context.Context, context.CancelFunc) {
	timeout := callLimit
	if s.TimeoutMs > 0 {
		timeout = time.Duration(s.TimeoutMs) * time.Millisecond
	}
	return context.WithTimeout(t.Context(), timeout)
}

func (s *scenario) request(t *testing.T) *tesserav1.ExtractRequest {
	request := &tesserav1.ExtractRequest{}
	if err := protojson.Unmarshal(s.Request, request); err != nil {
		t.Fatal(err)
	}
	for i, file := range s.Files {
		if i == len(request.Files) {
			request.Files = append(request.Files, &tesserav1.InputFile{})
		}
		request.Files[i].Content = content(t, file)
	}
	return request
}

func content(t *testing.T, file string) []byte {
	kind, name, _ := strings.Cut(file, ":")
	switch kind {
	case "sample":
		name = testserver.Sample(name)
	case "file":
		name = filepath.Join(testserver.Repository(), "clients/conformance", name)
	default:
		return []byte(name)
	}
	bytes, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

func (s *scenario) play(t *testing.T, client *tessera.Client) (events []tessera.Event, err error) {
	ctx, cancel := s.bounded(t)
	defer cancel()
	if s.CancelAfter == "begin" {
		cancel()
	}
	for event, err := range client.StreamRequest(ctx, s.request(t)) {
		if err != nil {
			return events, err
		}
		events = append(events, event)
		if kind(event) == s.CancelAfter {
			cancel()
		}
	}
	return events, nil
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

func interfaceOf(value *structpb.Value) any {
	if value == nil {
		return nil
	}
	return value.AsInterface()
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

func untilIdle(t *testing.T, client *tessera.Client) {
	t.Helper()
	for end := time.Now().Add(idleLimit); ; time.Sleep(20 * time.Millisecond) {
		status, err := client.ModelInfo(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		load := status.GetLoad()
		if load.GetRunningRequests()+load.GetQueuedRequests() == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still busy: %v", load)
		}
	}
}

func dial(t testing.TB, address string, options ...tessera.Option) *tessera.Client {
	t.Helper()
	client, err := tessera.Dial(address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
