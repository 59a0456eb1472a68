package tessera_test

import (
	"testing"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

func TestFilesMayBeNamedByURI(t *testing.T) {
	const uri = "https://docs.example.com/receipt.png?signature=1"
	request, err := tessera.Document{
		Files:  [][]byte{[]byte("a page")},
		Inputs: []*tesserav1.InputFile{tessera.URI(uri)},
		Prompt: "Total?",
	}.Request()
	if err != nil {
		t.Fatal(err)
	}
	files := request.GetFiles()
	if string(files[0].GetContent()) != "a page" || files[0].GetUri() != "" {
		t.Errorf("the first file is %v", files[0])
	}
	if len(files[1].GetContent()) != 0 || files[1].GetUri() != uri {
		t.Errorf("the second file is %v", files[1])
	}
}
