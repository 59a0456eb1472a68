package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tessera-server/tessera/clients/go/internal/testserver"
)

func TestPrintsTheAnswer(t *testing.T) {
	address := testserver.Address(t)
	var stdout, stderr bytes.Buffer
	args := []string{"-address", address, "-document-type", "receipt", testserver.Sample("receipt-01.png")}
	if err := run(t.Context(), args, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	if !strings.Contains(stdout.String(), "DOCUMENT_TYPE") || !strings.Contains(stderr.String(), "output tokens") {
		t.Errorf("%q, %q", stdout.String(), stderr.String())
	}
	// A file that is no image is named, with the reason.
	args[len(args)-1] = "main.go"
	err := run(t.Context(), args, &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), "INVALID_FIELD") || !strings.Contains(err.Error(), "files[0].content") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	for _, args := range [][]string{{}, {"page.png"}, {"-prompt", "a", "-document-type", "b", "page.png"}} {
		if err := run(t.Context(), args, nil, nil); err == nil {
			t.Errorf("%v is taken", args)
		}
	}
}
