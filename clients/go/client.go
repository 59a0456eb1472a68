package tessera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

const (
	// The server's Limits.max_request_bytes.
	requestBytesMax  = 64 << 20
	responseBytesMax = 16 << 20

	// UNAVAILABLE (loading, draining) before the first message is safe to try again, anywhere. gRPC
	// never repeats a call that has answered, so events do not come twice.
	serviceConfig = `{
		"loadBalancingConfig": [{"round_robin": {}}],
		"methodConfig": [{
			"name": [{"service": "tessera.v1.ExtractionService"}]%s
		}]
	}`
	retryPolicy = `,
			"retryPolicy": {
				"maxAttempts": %d,
				"initialBackoff": "0.5s",
				"maxBackoff": "5s",
				"backoffMultiplier": 2,
				"retryableStatusCodes": ["UNAVAILABLE"]
			}`
	// Of gRPC itself.
	retryAttemptsMax = 5
)

// Client is a connection to Tessera. Goroutines may share it.
type Client struct {
	conn    *grpc.ClientConn
	options options
	// Stub is the generated client, for what this one does not do.
	Stub tesserav1.ExtractionServiceClient
}

// Dial makes a client of the server at target: "host:port", "http://host:port", "https://host:port" for
// TLS, or a name that gRPC resolves. It connects with the first call.
func Dial(target string, opts ...Option) (*Client, error) {
	o := options{timeout: defaultTimeout, attempts: defaultAttempts}
	if address, found := strings.CutPrefix(target, "https://"); found {
		target = strings.TrimSuffix(address, "/")
		WithTLS(nil)(&o)
	} else if address, found := strings.CutPrefix(target, "http://"); found {
		target = strings.TrimSuffix(address, "/")
	}
	for _, option := range opts {
		option(&o)
	}
	security := insecure.NewCredentials()
	if o.tls != nil {
		security = credentials.NewTLS(o.tls)
	}
	retry := ""
	if o.attempts > 1 {
		retry = fmt.Sprintf(retryPolicy, min(o.attempts, retryAttemptsMax))
	}
	own := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultServiceConfig(fmt.Sprintf(serviceConfig, retry)),
		// Finds a server that is gone without a word while it is silent.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallSendMsgSize(requestBytesMax),
			grpc.MaxCallRecvMsgSize(responseBytesMax),
			// A request larger than this is not tried again; the default is 256 KiB, and pages are larger.
			grpc.MaxRetryRPCBufferSize(requestBytesMax),
		),
	}
	conn, err := grpc.NewClient(target, append(own, o.dial...)...)
	if err != nil {
		return nil, err
	}
	return &Client{conn: conn, options: o, Stub: tesserav1.NewExtractionServiceClient(conn)}, nil
}

// Close ends every call and the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Stream reads one document and yields its events as they come; the last one is [Completed]. After an
// error nothing follows. Leaving the loop, or ending ctx, ends the work on the server.
func (c *Client) Stream(ctx context.Context, document Document) iter.Seq2[Event, error] {
	request, err := document.Request()
	if err != nil {
		return func(yield func(Event, error) bool) { yield(nil, err) }
	}
	return c.StreamRequest(ctx, request)
}

// StreamRequest is as Stream, for a request of the protocol itself.
func (c *Client) StreamRequest(ctx context.Context, request *tesserav1.ExtractRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		if err := fits(request); err != nil {
			yield(nil, err)
			return
		}
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		for attempt := 1; ; attempt++ {
			answered, err := c.once(ctx, request, func(event Event) bool { return yield(event, nil) })
			if err == nil {
				return
			}
			delay, again := c.again(ctx, err, attempt)
			if answered || !again {
				yield(nil, err)
				return
			}
			select {
			case <-ctx.Done():
				yield(nil, fromError(status.FromContextError(ctx.Err()).Err()))
				return
			case <-time.After(delay):
			}
		}
	}
}

// once makes one call. It says whether an event came.
func (c *Client) once(
	ctx context.Context, request *tesserav1.ExtractRequest, handle func(Event) bool,
) (answered bool, err error) {
	ctx, err = c.outgoing(ctx)
	if err != nil {
		return false, err
	}
	stream, err := c.Stub.Extract(ctx, request)
	if err != nil {
		return false, fromError(err)
	}
	completed := false
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if !completed {
				return answered, ErrIncomplete
			}
			return answered, nil
		}
		if err != nil {
			return answered, fromError(err)
		}
		event := fromResponse(response)
		if event == nil {
			continue
		}
		answered = true
		_, completed = event.(Completed)
		if !handle(event) {
			return answered, nil
		}
	}
}

// again says whether and when to try once more. UNAVAILABLE is tried again by gRPC itself; a full queue
// says when to come back.
func (c *Client) again(ctx context.Context, err error, attempt int) (time.Duration, bool) {
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != codes.ResourceExhausted || failure.RetryAfter == nil {
		return 0, false
	}
	delay := *failure.RetryAfter
	if deadline, bounded := ctx.Deadline(); bounded && time.Now().Add(delay).After(deadline) {
		return 0, false
	}
	return delay, attempt < c.options.attempts
}

// Extract reads one document and returns the whole answer.
func (c *Client) Extract(ctx context.Context, document Document) (*Extraction, error) {
	if len(document.Events) == 0 {
		// Nobody sees the pieces: they need not be sent.
		document.Events = []tesserav1.EventKind{tesserav1.EventKind_EVENT_KIND_NONE}
	}
	answer := &Extraction{}
	for event, err := range c.Stream(ctx, document) {
		if err != nil {
			return nil, err
		}
		switch event := event.(type) {
		case Accepted:
			answer.Accepted = event.Accepted
		case Completed:
			answer.Completed = event.Completed
		}
	}
	return answer, nil
}

// ModelInfo says what is loaded, where, in which dtype, and every limit that a refusal names.
func (c *Client) ModelInfo(ctx context.Context) (*tesserav1.ModelStatus, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	ctx, err := c.outgoing(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := c.Stub.ModelInfo(ctx, &tesserav1.ModelInfoRequest{})
	if err != nil {
		return nil, fromError(err)
	}
	return answer.GetStatus(), nil
}

// WatchModelInfo is as ModelInfo, again after each change, until the server drains or ctx ends.
func (c *Client) WatchModelInfo(ctx context.Context) iter.Seq2[*tesserav1.ModelStatus, error] {
	return func(yield func(*tesserav1.ModelStatus, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx, err := c.outgoing(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		stream, err := c.Stub.WatchModelInfo(ctx, &tesserav1.WatchModelInfoRequest{})
		for err == nil {
			var answer *tesserav1.WatchModelInfoResponse
			if answer, err = stream.Recv(); err == nil && !yield(answer.GetStatus(), nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, fromError(err))
		}
	}
}

// bounded is ctx with a deadline, and an end for the call.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, bounded := ctx.Deadline(); bounded || c.options.timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.options.timeout)
}

// outgoing is ctx with the metadata of a call.
func (c *Client) outgoing(ctx context.Context) (context.Context, error) {
	if c.options.metadata != nil {
		for key, value := range c.options.metadata(ctx) {
			ctx = metadata.AppendToOutgoingContext(ctx, key, value)
		}
	}
	if c.options.token == nil {
		return ctx, nil
	}
	token, err := c.options.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("no token: %w", err)
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}
