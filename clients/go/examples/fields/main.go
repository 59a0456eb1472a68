// Command fields shows fields as they complete, long before the answer ends.
//
//	go run ./examples/fields receipt.png
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

func main() {
	address := flag.String("address", "localhost:50051", "`host:port` of the server")
	flag.Parse()
	if err := run(context.Background(), *address, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address string, names []string) error {
	files, err := tessera.ReadFiles(names...)
	if err != nil {
		return err
	}
	client, err := tessera.Dial(address)
	if err != nil {
		return err
	}
	defer client.Close()
	document := tessera.Document{
		Files: files, Type: "receipt",
		Events: []tesserav1.EventKind{tesserav1.EventKind_EVENT_KIND_FIELDS},
	}
	for event, err := range client.Stream(ctx, document) {
		if err != nil {
			return err
		}
		switch event := event.(type) {
		case tessera.FieldCompleted:
			fmt.Printf("%-28s %3.0f %%  %s\n", event.GetPointer(), 100*event.GetConfidence(), event.GetRaw())
		case tessera.Completed:
			for _, check := range event.GetChecks() {
				mark := "✗"
				if check.GetPassed() {
					mark = "✓"
				}
				fmt.Println(mark, strings.TrimPrefix(check.GetRule().String(), "CHECK_RULE_"), check.GetMessage())
			}
		}
	}
	return nil
}
