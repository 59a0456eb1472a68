package tessera_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	tessera "github.com/tessera-server/tessera/clients/go"
	"github.com/tessera-server/tessera/clients/go/internal/testserver"
)

// Certificates, API keys and tokens against a real server: the scenarios of clients/conformance/access.
func TestWhoMayCall(t *testing.T) {
	binary := os.Getenv("TESSERA_BIN")
	if _, err := exec.LookPath("openssl"); err != nil || binary == "" {
		t.Skip("needs a server of its own and openssl: set TESSERA_BIN=path/to/tessera")
	}
	source := filepath.Join(testserver.Repository(), "clients/conformance/access")
	var suite struct {
		Servers   map[string][]string
		Scenarios []accessScenario
	}
	text, err := os.ReadFile(filepath.Join(source, "scenarios.json"))
	if err == nil {
		err = json.Unmarshal(text, &suite)
	}
	if err != nil || len(suite.Scenarios) == 0 {
		t.Fatal(err)
	}
	files := t.TempDir()
	command(t, "sh", filepath.Join(source, "make-files.sh"), files)
	trusted := secure(t, files, "ca.pem", "billing")
	addresses := map[string]string{}
	for name, flags := range suite.Servers {
		for i, flag := range flags {
			flags[i] = strings.ReplaceAll(flag, "DIR", files)
		}
		addresses[name] = testserver.Start(t, credentials.NewTLS(trusted), flags...)
	}
	for _, scenario := range suite.Scenarios {
		t.Run(scenario.Name, func(t *testing.T) { scenario.run(t, files, addresses[scenario.Server]) })
	}
}

type accessScenario struct {
	Name, Server, Ca, Client, Token, Call string
	Error                                 *struct{ Code, Reason string }
}

func (s *accessScenario) run(t *testing.T, files, address string) {
	options, token := []tessera.Option{tessera.WithAttempts(1)}, ""
	if s.Token != "" {
		text, err := os.ReadFile(filepath.Join(files, s.Token+".token"))
		if err != nil {
			t.Fatal(err)
		}
		token = string(text)
		options = append(options, tessera.WithToken(token))
	}
	target := "http://" + address
	if s.Ca != "" {
		target = "https://" + address
		options = append(options, tessera.WithTLS(secure(t, files, s.Ca, s.Client)))
	}
	err := s.call(t, dial(t, target, options...))
	if s.Error == nil {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var failure *tessera.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no failure of a call", err)
	}
	want := map[string]codes.Code{
		"UNAUTHENTICATED": codes.Unauthenticated, "PERMISSION_DENIED": codes.PermissionDenied, "UNAVAILABLE": codes.Unavailable,
	}[s.Error.Code]
	if failure.Code != want || (s.Error.Reason != "" && failure.Reason != s.Error.Reason) {
		t.Errorf("got %v", err)
	}
	// What was sent is never said back.
	if token != "" && strings.Contains(err.Error(), token) {
		t.Error("the token is in the failure")
	}
}

func (s *accessScenario) call(t *testing.T, client *tessera.Client) error {
	ctx, cancel := context.WithTimeout(t.Context(), callLimit)
	defer cancel()
	if s.Call == "ModelInfo" {
		_, err := client.ModelInfo(ctx)
		return err
	}
	pages, err := tessera.ReadFiles(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	receipt := tessera.Document{Files: pages, Type: "receipt"}
	var answers []*tessera.Extraction
	if s.Call == "BatchExtract" {
		found, err := results(ctx, client.Batch(func(yield func(tessera.Document, error) bool) {
			for range 2 {
				if !yield(receipt, nil) {
					return
				}
			}
		}))
		if err != nil {
			return err
		}
		for _, result := range found {
			answers = append(answers, result.Extraction)
		}
	} else {
		answer, err := client.Extract(ctx, receipt)
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	for _, answer := range answers {
		var document map[string]string
		if err := answer.Decode(&document); err != nil || document["TOTAL_AMOUNT"] != "$30.00" {
			t.Errorf("%v, %v", document, err)
		}
	}
	return nil
}

// secure trusts the authority of a file, and has the certificate of client, if there is one.
func secure(t *testing.T, files, authority, client string) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(filepath.Join(files, authority))
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if err != nil || !config.RootCAs.AppendCertsFromPEM(pem) {
		t.Fatal(authority, err)
	}
	if client != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(files, client+".pem"), filepath.Join(files, client+".key"))
		if err != nil {
			t.Fatal(err)
		}
		// Also where the server did not name its authority: it must refuse it, and say so.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return config
}
