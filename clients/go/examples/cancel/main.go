// Command cancel stops at the first field it wanted, or at its deadline; the server stops with it.
//
//	go run ./examples/cancel -field /SUPPLIER_NAME -timeout 5s receipt.png
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

func main() {
	address := flag.String("address", "localhost:50051", "`host:port` of the server")
	field := flag.String("field", "/SUPPLIER_NAME", "JSON `pointer` of the field")
	timeout := flag.Duration("timeout", 30*time.Second, "time for it")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	err := run(ctx, *address, *field, flag.Args())
	if errors.Is(err, context.DeadlineExceeded) {
		fmt.Fprintf(os.Stderr, "%s did not come within %s\n", *field, *timeout)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(ctx context.Context, address, field string, names []string) error {
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
		if event, ok := event.(tessera.FieldCompleted); ok && event.GetPointer() == field {
			fmt.Println(event.GetRaw())
			// Leaving the loop ends the call.
			return nil
		}
	}
	return fmt.Errorf("there is no %s", field)
}
