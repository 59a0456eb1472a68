// How a scenario is asked: as one call, or as documents of one.

package tessera_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

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
