// Package tessera is a client of Tessera, a gRPC server that reads documents with InternVL3.
//
//	client, err := tessera.Dial("localhost:50051")
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	for event, err := range client.Stream(ctx, tessera.Document{Files: pages, Type: "receipt"}) {
//		if err != nil {
//			return err
//		}
//		if event, ok := event.(tessera.FieldCompleted); ok {
//			fmt.Println(event.GetPointer(), event.GetRaw())
//		}
//	}
//
// Ending the context, or leaving the loop, ends the call and with it the work on the server. Failures
// are an [*Error]. The messages of the protocol are in package tesserav1.
package tessera
