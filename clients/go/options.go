package tessera

import (
	"context"
	"crypto/tls"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

const (
	defaultTimeout  = 5 * time.Minute
	defaultAttempts = 4
)

type options struct {
	timeout  time.Duration
	attempts int
	tls      *tls.Config
	token    func(context.Context) (string, error)
	metadata func(context.Context) map[string]string
	dial     []grpc.DialOption
}

// Option sets something of a client.
type Option func(*options)

// WithTimeout bounds calls whose context has no deadline. Default: 5 minutes; 0: they are not bounded.
func WithTimeout(timeout time.Duration) Option {
	return func(o *options) { o.timeout = timeout }
}

// WithAttempts says how often to try a call that fails before its first event and may be tried again.
// Default: 4; 1: never again.
func WithAttempts(attempts int) Option {
	return func(o *options) { o.attempts = max(1, attempts) }
}

// WithTLS encrypts the connection. Nil is a configuration with the system's authorities, which an
// https:// target gets without this option.
func WithTLS(config *tls.Config) Option {
	return func(o *options) {
		if config == nil {
			config = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		o.tls = config
	}
}

// WithToken sends a bearer token with each call.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource asks for a bearer token before each call.
func WithTokenSource(source func(context.Context) (string, error)) Option {
	return func(o *options) { o.token = source }
}

// WithMetadata adds metadata to each call, for example the trace context of ctx.
func WithMetadata(metadata func(context.Context) map[string]string) Option {
	return func(o *options) { o.metadata = metadata }
}

// WithStatsHandler is where OpenTelemetry joins in: otelgrpc.NewClientHandler().
func WithStatsHandler(handler stats.Handler) Option {
	return WithDialOptions(grpc.WithStatsHandler(handler))
}

// WithDialOptions adds interceptors and anything else that grpc-go knows; they win over the client's own.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}
