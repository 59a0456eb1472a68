package tessera

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
)

// ErrIncomplete is the failure of a stream that ended with OK but without Completed: the answer is not
// whole.
var ErrIncomplete = errors.New("the stream ended without `completed`")

// FieldViolation is a field of the request that is wrong, and how.
type FieldViolation struct {
	Field, Description string
}

// Error is a call that failed. Events that came before stay true.
//
// errors.Is knows context.Canceled and context.DeadlineExceeded; status.FromError finds the status.
type Error struct {
	Code    codes.Code
	Message string
	// Of ErrorInfo: "QUEUE_FULL", "INVALID_FIELD", … Empty: the server sent none.
	Reason string
	// Of ErrorInfo: limits, values, steps; wrong_fields where more are wrong than are named.
	Metadata map[string]string
	// Of BadRequest: the fields that are wrong, at most 12.
	Violations []FieldViolation
	// Of RetryInfo: when the same call may succeed. Nil: it would fail again.
	RetryAfter *time.Duration

	status *status.Status
}

// Error is the status and its details, as text for people.
func (e *Error) Error() string {
	name := code(e.Code)
	if e.Reason != "" {
		name += " (" + e.Reason + ")"
	}
	lines := []string{name + ": " + e.Message}
	for _, violation := range e.Violations {
		line := "  " + violation.Field
		if violation.Description != "" {
			line += ": " + violation.Description
		}
		// The server's own message is its violations, joined.
		if !strings.Contains(e.Message, strings.TrimSpace(line)) {
			lines = append(lines, line)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(e.Metadata)) {
		lines = append(lines, "  "+key+": "+e.Metadata[key])
	}
	if e.RetryAfter != nil {
		lines = append(lines, fmt.Sprintf("  try again in %s", *e.RetryAfter))
	}
	return strings.Join(lines, "\n")
}

// GRPCStatus is the status behind the failure.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is lets a failure be found by what ended its context.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == codes.Canceled
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	}
	return false
}

// fromError is the failure of a call; nil and errors that are no status stay what they are.
func fromError(err error) error {
	failure, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	e := &Error{Code: failure.Code(), Message: failure.Message(), status: failure}
	for _, detail := range failure.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = detail.GetReason(), detail.GetMetadata()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				e.Violations = append(e.Violations, FieldViolation{violation.GetField(), violation.GetDescription()})
			}
		case *errdetails.RetryInfo:
			after := detail.GetRetryDelay().AsDuration()
			e.RetryAfter = &after
		}
	}
	return e
}

// failureOf is the failure of a call that ended with this status.
func failureOf(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	said := status.New(code, message)
	if detailed, err := said.WithDetails(details...); err == nil {
		said = detailed
	}
	return fromError(said.Err())
}

// code is the code's name in the gRPC specification; grpc-go spells them in its own way.
func code(code codes.Code) string {
	if code == codes.Canceled {
		return "CANCELLED"
	}
	var name strings.Builder
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' && code != codes.OK {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}
