package tesserav1_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The committed code is what generate.sh makes of proto/.
func TestGeneratedCodeIsFresh(t *testing.T) {
	if os.Getenv("PROTOC") == "" {
		t.Skip("needs a protoc: set PROTOC, for example to 'python -m grpc_tools.protoc'")
	}
	out := t.TempDir()
	if output, err := exec.Command("../generate.sh", out).CombinedOutput(); err != nil {
		t.Fatalf("generate.sh: %v\n%s", err, output)
	}
	fresh := sources(t, out)
	committed := sources(t, ".")
	if len(fresh) == 0 || len(fresh) != len(committed) {
		t.Fatalf("%d files generated, %d committed: run generate.sh", len(fresh), len(committed))
	}
	for name, text := range fresh {
		if !bytes.Equal(text, committed[name]) {
			t.Errorf("%s differs: run generate.sh", name)
		}
	}
}

func sources(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.pb.go"))
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte, len(paths))
	for _, path := range paths {
		if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
