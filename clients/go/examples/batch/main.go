// Command batch reads every page below a folder over one call and writes one JSON object a line.
//
//	go run ./examples/batch -document-type receipt -at-once 8 scans/ > receipts.jsonl
//
// Pages are read from disk as there is room for them. What the server has no room for is sent again when it
// says so. A document that fails is a line with `error`, and the others go on.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	tessera "github.com/tessera-server/tessera/clients/go"
)

var pages = []string{".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".pdf"}

type line struct {
	File     string          `json:"file"`
	Document json.RawMessage `json:"document,omitempty"`
	Error    string          `json:"error,omitempty"`
	Reason   string          `json:"reason,omitempty"`
}

func main() {
	address := flag.String("address", "localhost:50051", "`host:port` of the server")
	documentType := flag.String("document-type", "receipt", "what the pages are")
	atOnce := flag.Int("at-once", 8, "documents to read at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *address, *documentType, *atOnce, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, documentType string, atOnce int, folder string) error {
	client, err := tessera.Dial(address, tessera.WithAttempts(10))
	if err != nil {
		return err
	}
	defer client.Close()
	var names []string
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && slices.Contains(pages, strings.ToLower(filepath.Ext(name))) {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return err
	}
	documents := func(yield func(tessera.Document, error) bool) {
		for _, name := range names {
			files, err := tessera.ReadFiles(name)
			if !yield(tessera.Document{Files: files, Type: documentType}, err) {
				return
			}
		}
	}
	failed, output := 0, json.NewEncoder(os.Stdout)
	for result, err := range client.Batch(documents, tessera.InFlight(atOnce)).Results(ctx) {
		if err != nil {
			return err
		}
		answer := line{File: names[result.Index]}
		var failure *tessera.Error
		switch {
		case errors.As(result.Err, &failure):
			answer.Error, answer.Reason = failure.Message, failure.Reason
		case result.Err != nil:
			answer.Error = result.Err.Error()
		default:
			// As the model wrote it, so that numbers keep their digits.
			answer.Document = json.RawMessage(result.Completed.GetDocumentJson())
		}
		if result.Err != nil {
			failed++
		}
		_ = output.Encode(answer)
	}
	if failed > 0 {
		return fmt.Errorf("%d documents failed", failed)
	}
	return nil
}
