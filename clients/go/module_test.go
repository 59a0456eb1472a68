package tessera_test

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	modulePath    = "github.com/tessera-server/tessera/clients/go"
	moduleVersion = "v0.0.1"
)

const consumer = `package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	tessera "github.com/tessera-server/tessera/clients/go"
)

func main() {
	client, err := tessera.Dial("127.0.0.1:1", tessera.WithAttempts(1))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, err = client.Extract(ctx, tessera.Document{Files: [][]byte{{1}}, Type: "receipt"})
	var failure *tessera.Error
	fmt.Println(errors.As(err, &failure), failure.Code)
}
`

// The module as a user gets it: packed as a proxy serves it, and built where nothing else is.
func TestTheModuleWorksWhereNothingElseIs(t *testing.T) {
	home := t.TempDir()
	packModule(t, filepath.Join(home, "proxy", modulePath, "@v"))
	user := filepath.Join(home, "user")
	if err := os.Mkdir(user, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(user, "main.go"), []byte(consumer), 0o600); err != nil {
		t.Fatal(err)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	// Its own cache, so that no other test's module is met; what others need is in that of this machine. Without its path
	// in what is built, or every run would compile gRPC anew.
	proxies := "file://" + filepath.Join(home, "proxy") + ",file://" + filepath.Join(strings.TrimSpace(string(cache)), "cache/download")
	run := func(name string, args ...string) string {
		command := exec.CommandContext(t.Context(), name, args...)
		command.Dir = user
		command.Env = append(os.Environ(), "GOPROXY="+proxies, "GOSUMDB=off", "GOWORK=off",
			"GOMODCACHE="+filepath.Join(home, "cache"), "GOFLAGS=-modcacherw -trimpath")
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, output)
		}
		return string(output)
	}
	run("go", "mod", "init", "example.com/user")
	run("go", "get", modulePath+"@"+moduleVersion)
	run("go", "vet", ".")
	if output := run("go", "run", "."); !strings.HasSuffix(output, "true Unavailable\n") {
		t.Error(output)
	}
}

// packModule writes what the module proxy protocol has of one version.
func packModule(t *testing.T, folder string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(folder, moduleVersion+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	archive := zip.NewWriter(file)
	err = filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		into, err := archive.Create(modulePath + "@" + moduleVersion + "/" + filepath.ToSlash(path))
		if err == nil {
			_, err = into.Write(text)
		}
		return err
	})
	if err == nil {
		err = archive.Close()
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	module, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	info := fmt.Sprintf(`{"Version": %q, "Time": "2020-01-01T00:00:00Z"}`, moduleVersion)
	for name, text := range map[string]string{"list": moduleVersion + "\n", moduleVersion + ".info": info, moduleVersion + ".mod": string(module)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
