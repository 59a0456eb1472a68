// Command batch reads every page below a folder and writes one JSON object a line.
//
//	go run ./examples/batch -document-type receipt -at-once 8 scans/ > receipts.jsonl
//
// The server batches what runs at once; what it has no room for waits in its queue, and a full queue
// says when to come back. A document that fails is a line with `error`, and the others go on.
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
	"sync"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
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
	var work sync.WaitGroup
	var output sync.Mutex
	room, failed := make(chan struct{}, atOnce), 0
	err = filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains(pages, strings.ToLower(filepath.Ext(name))) {
			return err
		}
		room <- struct{}{}
		work.Go(func() {
			defer func() { <-room }()
			answer := read(ctx, client, documentType, name)
			output.Lock()
			defer output.Unlock()
			if answer.Error != "" {
				failed++
			}
			_ = json.NewEncoder(os.Stdout).Encode(answer)
		})
		return ctx.Err()
	})
	work.Wait()
	if err == nil && failed > 0 {
		err = fmt.Errorf("%d documents failed", failed)
	}
	return err
}

func read(ctx context.Context, client *tessera.Client, documentType, name string) line {
	files, err := tessera.ReadFiles(name)
	if err != nil {
		return line{File: name, Error: err.Error()}
	}
	answer, err := client.Extract(ctx, tessera.Document{
		Files: files, Type: documentType, Priority: tesserav1.Priority_PRIORITY_BATCH,
	})
	if err != nil {
		var failure *tessera.Error
		if errors.As(err, &failure) {
			return line{File: name, Error: failure.Message, Reason: failure.Reason}
		}
		return line{File: name, Error: err.Error()}
	}
	// As the model wrote it, so that numbers keep their digits.
	return line{File: name, Document: json.RawMessage(answer.Completed.GetDocumentJson())}
}
