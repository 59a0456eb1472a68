package tessera_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tessera-server/tessera/clients/go/internal/testserver"
)

const aroundReadme = `package main

import (
	"context"
	"fmt"
	"log"

	tessera "github.com/tessera-server/tessera/clients/go"
)

func main() {
	if err := run(context.Background(), []string{"receipt.png", "none.png"}); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, names []string) error {
`

// The README's code is one function, in its order, run as it is written but for the server's address.
func TestTheReadmesCodeRuns(t *testing.T) {
	address := testserver.Address(t)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllStringSubmatch(string(readme), -1)
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of code", len(blocks))
	}
	home := t.TempDir()
	page, err := os.ReadFile(testserver.Sample("receipt-01.png"))
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	program.WriteString(aroundReadme)
	for _, block := range blocks {
		program.WriteString(block[1])
	}
	program.WriteString("\tfmt.Println(receipt.Total)\n\treturn err\n}\n")
	text := strings.ReplaceAll(program.String(), "localhost:50051", address)
	for name, content := range map[string][]byte{"main.go": []byte(text), "receipt.png": page} {
		if err := os.WriteFile(filepath.Join(home, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary := filepath.Join(home, "readme")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, filepath.Join(home, "main.go"))
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	command := exec.CommandContext(t.Context(), binary)
	command.Dir = home
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for _, said := range []string{"/TOTAL_AMOUNT \"$5976.93\"", "\n$5976.93\n", "none.png open none.png: no such file"} {
		if !strings.Contains(string(output), said) {
			t.Errorf("%q is not in\n%s", said, output)
		}
	}
}
