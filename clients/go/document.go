package tessera

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// What a batch puts around a document's message.
const aroundMessage = 16

// Document is one document and what is wanted of it. One of Type, JSONSchema, Schema and Prompt is required.
type Document struct {
	// Files hold the pages, in order: PNG, JPEG, WebP, TIFF, or what ModelInfo lists beside them.
	Files [][]byte
	// Inputs follow Files, and say more about each: which pages of a PDF or multi-page TIFF, in which order,
	// and at how many dots per inch; or where the server finds it (URI).
	Inputs []*tesserav1.InputFile
	// Type extracts the fields of "receipt", "invoice", "bank-statement"; for "auto" the server finds out
	// which.
	Type string
	// Instructions are advice to the model about the whole document; with Type or JSONSchema.
	Instructions string
	// AnswerStyle is how the model writes; with Type or JSONSchema. Unset: JSON.
	AnswerStyle tesserav1.AnswerStyle
	// JSONSchema is the text of the document's schema.
	JSONSchema string
	// Schema is the message itself, for what the others cannot say.
	Schema *tesserav1.ExtractionSchema
	// Prompt is answered freely.
	Prompt string

	Generation *tesserav1.GenerationOptions
	// Events to send. Empty: tokens, and fields where there is a schema.
	Events []tesserav1.EventKind
	// Priority says who goes first when there is not room for all. Unset: interactive.
	Priority tesserav1.Priority
	// RequestID names the call in logs and traces. Empty: the server makes one.
	RequestID string
	Model     string
}

// URI is a file for Document.Inputs that the server fetches, of an origin in ModelInfo's
// Capabilities.uri_origins; by default a server fetches nothing.
func URI(uri string) *tesserav1.InputFile {
	return &tesserav1.InputFile{Uri: uri}
}

// ReadFiles reads the pages of a document.
func ReadFiles(names ...string) ([][]byte, error) {
	files := make([][]byte, 0, len(names))
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, content)
	}
	return files, nil
}

// Request is the message for the document. The server checks it: a wrong field fails the call and is
// named there.
func (d Document) Request() (*tesserav1.ExtractRequest, error) {
	request := &tesserav1.ExtractRequest{
		RequestId:  d.RequestID,
		Model:      d.Model,
		Generation: d.Generation,
		EventKinds: d.Events,
		Priority:   d.Priority,
	}
	for _, content := range d.Files {
		request.Files = append(request.Files, &tesserav1.InputFile{Content: content})
	}
	request.Files = append(request.Files, d.Inputs...)
	given := 0
	if d.Prompt != "" {
		given++
		request.Task = &tesserav1.ExtractRequest_Prompt{Prompt: d.Prompt}
	}
	if d.Schema != nil {
		given++
		request.Task = &tesserav1.ExtractRequest_Schema{Schema: d.Schema}
	}
	if d.JSONSchema != "" {
		given++
		request.Task = &tesserav1.ExtractRequest_Schema{Schema: &tesserav1.ExtractionSchema{
			Source:       &tesserav1.ExtractionSchema_JsonSchema{JsonSchema: d.JSONSchema},
			Instructions: d.Instructions,
			AnswerStyle:  d.AnswerStyle,
		}}
	}
	if d.Type != "" {
		given++
		kind, err := documentType(d.Type)
		if err != nil {
			return nil, err
		}
		request.Task = &tesserav1.ExtractRequest_Schema{Schema: &tesserav1.ExtractionSchema{
			Source:       &tesserav1.ExtractionSchema_DocumentType{DocumentType: kind},
			Instructions: d.Instructions,
			AnswerStyle:  d.AnswerStyle,
		}}
	}
	if given > 1 {
		return nil, errors.New("give one of Type, JSONSchema, Schema and Prompt")
	}
	if d.Prompt != "" || d.Schema != nil {
		where := "the Prompt itself"
		if d.Schema != nil {
			where = "the Schema's own fields"
		}
		if d.Instructions != "" {
			return nil, errors.New("Instructions go with Type or JSONSchema: say it in " + where)
		}
		if d.AnswerStyle != tesserav1.AnswerStyle_ANSWER_STYLE_UNSPECIFIED {
			return nil, errors.New("AnswerStyle goes with Type or JSONSchema: say it in " + where)
		}
	}
	return request, fits(request)
}

// fits refuses what no server takes: over a call that documents share it would end the call for all of them.
func fits(request *tesserav1.ExtractRequest) error {
	size := proto.Size(request)
	if size <= requestBytesMax-aroundMessage {
		return nil
	}
	wrong := fmt.Sprintf("%d bytes are more than max_request_bytes, %d: send fewer pages, or smaller ones", size, requestBytesMax)
	return failureOf(codes.InvalidArgument, "files: "+wrong,
		&errdetails.ErrorInfo{Reason: "LIMIT_EXCEEDED", Domain: "tessera", Metadata: map[string]string{
			"limit": "max_request_bytes", "limit_value": strconv.Itoa(requestBytesMax), "value": strconv.Itoa(size),
		}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "files", Description: wrong}}},
	)
}

// documentType finds a type by its name in the protocol, so that those of a newer protocol are known with it.
func documentType(name string) (tesserav1.DocumentType, error) {
	const prefix = "DOCUMENT_TYPE_"
	key := prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if value := tesserav1.DocumentType_value[key]; value != 0 {
		return tesserav1.DocumentType(value), nil
	}
	var known []string
	for value, name := range tesserav1.DocumentType_name {
		if value != 0 {
			known = append(known, strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "_", "-")))
		}
	}
	slices.Sort(known)
	return 0, fmt.Errorf("unknown document type %q: give one of %s", name, strings.Join(known, ", "))
}
