// Command extract reads one document with Tessera and prints the answer while it is written.
//
//	go run ./cmd/extract -document-type receipt receipt.png
//	go run ./cmd/extract -prompt 'Who sent this?' page-1.png page-2.png
//
// The answer goes to standard output, everything else to standard error. Several files are the
// pages of one document. Ctrl-C ends the call, and with it the work on the server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	tessera "github.com/tessera-server/tessera/clients/go"
)

func main() {
	// Stopping the process ends the context, the context ends the call.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("extract", flag.ExitOnError)
	address := flags.String("address", "localhost:50051", "`host:port` of the server, or https://…")
	timeout := flags.Duration("timeout", 5*time.Minute, "deadline of the whole call")
	documentType := flags.String("document-type", "", "extract the fields of a `type`: receipt, invoice, bank-statement or auto")
	prompt := flags.String("prompt", "", "ask this `text` instead")
	_ = flags.Parse(args) // Does not return an error: it exits.
	if flags.NArg() == 0 || (*documentType == "") == (*prompt == "") {
		return errors.New("name at least one page, and pass either -document-type or -prompt")
	}
	files, err := tessera.ReadFiles(flags.Args()...)
	if err != nil {
		return err
	}
	options := []tessera.Option{tessera.WithTimeout(*timeout)}
	// A token, where the server asks for one, belongs in no list of processes.
	if token := os.Getenv("TESSERA_TOKEN"); token != "" {
		options = append(options, tessera.WithToken(token))
	}
	client, err := tessera.Dial(*address, options...)
	if err != nil {
		return err
	}
	defer client.Close()
	document := tessera.Document{Files: files, Type: *documentType, Prompt: *prompt}
	for event, err := range client.Stream(ctx, document) {
		if err != nil {
			return err
		}
		show(event, stdout, stderr)
	}
	return nil
}

func show(event tessera.Event, stdout, stderr io.Writer) {
	switch event := event.(type) {
	case tessera.Accepted:
		pages := "pages"
		if len(event.GetPages()) == 1 {
			pages = "page"
		}
		fmt.Fprintf(stderr, "%s: %d %s, %d input tokens, request %s\n", event.GetModel(),
			len(event.GetPages()), pages, event.GetInputTokens(), event.GetRequestId())
	case tessera.TokenDelta:
		fmt.Fprint(stdout, event.GetText())
	case tessera.Completed:
		fmt.Fprintln(stdout)
		fmt.Fprintf(stderr, "%s: %d output tokens, first after %.3f s, all after %.3f s\n",
			strings.TrimPrefix(event.GetFinishReason().String(), "FINISH_REASON_"), event.GetUsage().GetOutputTokens(),
			event.GetTimings().GetTimeToFirstToken().AsDuration().Seconds(),
			event.GetTimings().GetTotal().AsDuration().Seconds())
		if reason := event.GetDocumentError(); reason != "" {
			fmt.Fprintf(stderr, "not a document: %s\n", reason)
		}
	}
}
