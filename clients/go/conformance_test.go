package tessera_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
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
