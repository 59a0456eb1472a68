package tessera_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	tessera "github.com/tessera-server/tessera/clients/go"
	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// What the client does by itself, against a scripted server of real gRPC: a real Tessera is never in
// these states on demand.

type extractStream = grpc.ServerStreamingServer[tesserav1.ExtractResponse]

type part func(extractStream) error

// script plays one part for each call, the last one again and again.
type script struct {
	tesserav1.UnimplementedExtractionServiceServer
	mutex sync.Mutex
	parts []part
	calls []metadata.MD
	ended chan struct{}
}

func (s *script) Extract(_ *tesserav1.ExtractRequest, stream extractStream) error {
	s.mutex.Lock()
	received, _ := metadata.FromIncomingContext(stream.Context())
	s.calls = append(s.calls, received)
	part := s.parts[min(len(s.calls), len(s.parts))-1]
	s.mutex.Unlock()
	err := part(stream)
	select {
	case s.ended <- struct{}{}:
	default:
	}
	return err
}

func (s *script) WatchModelInfo(
	_ *tesserav1.WatchModelInfoRequest, stream grpc.ServerStreamingServer[tesserav1.WatchModelInfoResponse],
) error {
	defer func() { s.ended <- struct{}{} }()
	if err := stream.Send(&tesserav1.WatchModelInfoResponse{Status: &tesserav1.ModelStatus{}}); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func (s *script) count() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.calls)
}

func play(t testing.TB, parts ...part) (*script, string) {
	t.Helper()
	script := &script{parts: parts, ended: make(chan struct{}, 16)}
	return script, serve(t, script)
}

// serve is the address of a service that ends with the test.
func serve(t testing.TB, service tesserav1.ExtractionServiceServer, options ...grpc.ServerOption) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	tesserav1.RegisterExtractionServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func accepted(stream extractStream) error {
	return stream.Send(&tesserav1.ExtractResponse{
		Sequence: 1, Event: &tesserav1.ExtractResponse_Accepted{Accepted: &tesserav1.Accepted{RequestId: "r"}},
	})
}

func success(stream extractStream) error {
	json := `{"A": 1}`
	return errors.Join(accepted(stream), stream.Send(&tesserav1.ExtractResponse{
		Sequence: 2, Event: &tesserav1.ExtractResponse_Completed{Completed: &tesserav1.Completed{DocumentJson: &json}},
	}))
}

func endless(stream extractStream) error {
	if err := accepted(stream); err != nil {
		return err
	}
	<-stream.Context().Done()
	return stream.Context().Err()
}

func failing(code codes.Code, details ...protoadapt.MessageV1) part {
	return func(extractStream) error {
		failure, err := status.New(code, "said so").WithDetails(details...)
		if err != nil {
			return err
		}
		return failure.Err()
	}
}

func info(reason string) protoadapt.MessageV1 {
	return &errdetails.ErrorInfo{Reason: reason, Domain: "tessera", Metadata: map[string]string{"limit": "64"}}
}

func retry(after time.Duration) protoadapt.MessageV1 {
	return &errdetails.RetryInfo{RetryDelay: durationpb.New(after)}
}

func read(t *testing.T, address string, options ...tessera.Option) ([]tessera.Event, error) {
	t.Helper()
	var events []tessera.Event
	document := tessera.Document{Files: [][]byte{[]byte("page")}, Prompt: "What?"}
	for event, err := range dial(t, address, options...).Stream(t.Context(), document) {
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
	return events, nil
}

func TestRetries(t *testing.T) {
	full := func(after time.Duration) part {
		return failing(codes.ResourceExhausted, info("QUEUE_FULL"), retry(after))
	}
	cut := func(stream extractStream) error {
		return errors.Join(accepted(stream), failing(codes.Unavailable, retry(time.Millisecond))(stream))
	}
	for _, test := range []struct {
		name    string
		parts   []part
		options []tessera.Option
		calls   int
		want    codes.Code
	}{
		{"a full queue, when it says", []part{full(50 * time.Millisecond), full(50 * time.Millisecond), success}, nil, 3, codes.OK},
		{"so often and no more", []part{full(time.Millisecond)}, []tessera.Option{tessera.WithAttempts(2)}, 2, codes.ResourceExhausted},
		{"not beyond the deadline", []part{full(time.Hour)}, nil, 1, codes.ResourceExhausted},
		{"not what fails again anywhere", []part{failing(codes.ResourceExhausted, info("REQUEST_TOO_LARGE_FOR_MEMORY")), success}, nil, 1, codes.ResourceExhausted},
		{"a server that is loading", []part{failing(codes.Unavailable, info("MODEL_LOADING")), success}, nil, 2, codes.OK},
		{"not with one attempt", []part{failing(codes.Unavailable), success}, []tessera.Option{tessera.WithAttempts(1)}, 1, codes.Unavailable},
		{"no stream that began", []part{cut, success}, nil, 1, codes.Unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			script, address := play(t, test.parts...)
			_, err := read(t, address, test.options...)
			if status.Code(err) != test.want || script.count() != test.calls {
				t.Errorf("%d calls, then %v", script.count(), err)
			}
		})
	}
}

func TestFailuresSayAllThatTheServerSaid(t *testing.T) {
	bad := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "files", Description: "is empty"}}}
	_, address := play(t, failing(codes.InvalidArgument, info("INVALID_FIELD"), bad, retry(2*time.Second)))
	_, err := read(t, address)
	want := "INVALID_ARGUMENT (INVALID_FIELD): said so\n  files: is empty\n  limit: 64\n  try again in 2s"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestOKWithoutCompletedIsAFailure(t *testing.T) {
	_, address := play(t, accepted)
	if _, err := read(t, address); !errors.Is(err, tessera.ErrIncomplete) {
		t.Errorf("got %v", err)
	}
}

func TestAWaitForAFullQueueEndsWithItsContext(t *testing.T) {
	script, address := play(t, failing(codes.ResourceExhausted, info("QUEUE_FULL"), retry(time.Minute)))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-script.ended; time.Sleep(100 * time.Millisecond); cancel() }()
	_, err := dial(t, address).Extract(ctx, tessera.Document{Files: [][]byte{[]byte("page")}, Prompt: "What?"})
	if !errors.Is(err, context.Canceled) || script.count() != 1 {
		t.Error(err, script.count())
	}
}

func TestAResultWithoutAnAnswerSaysSo(t *testing.T) {
	var none tessera.BatchResult
	if err := none.Decode(&struct{}{}); err == nil || none.Field("/A") != nil {
		t.Error(err)
	}
}

func TestEventsOfANewerServerAreSkipped(t *testing.T) {
	_, address := play(t, func(stream extractStream) error {
		return errors.Join(stream.Send(&tesserav1.ExtractResponse{Sequence: 1}), success(stream))
	})
	if events, err := read(t, address); err != nil || len(events) != 2 {
		t.Errorf("got %v, %v", events, err)
	}
}

func TestTheCallEndsWithItsReader(t *testing.T) {
	document := tessera.Document{Files: [][]byte{[]byte("page")}, Prompt: "What?"}
	for name, read := range map[string]func(*testing.T, *tessera.Client){
		"who leaves the loop": func(t *testing.T, client *tessera.Client) {
			for range client.Stream(t.Context(), document) {
				break
			}
		},
		"who leaves the loop of a watch": func(t *testing.T, client *tessera.Client) {
			for range client.WatchModelInfo(t.Context()) {
				break
			}
		},
		"whose context is cancelled": func(t *testing.T, client *tessera.Client) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for _, err := range client.Stream(ctx, document) {
				if cancel(); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		},
		"whose time is over": func(t *testing.T, client *tessera.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := client.Extract(ctx, document); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			script, address := play(t, endless)
			read(t, dial(t, address))
			select {
			case <-script.ended:
			case <-time.After(5 * time.Second):
				t.Error("the server goes on")
			}
		})
	}
}

// tracer is what otelgrpc does, and no more: it puts the trace context into the metadata.
type tracer struct{ stats.Handler }

func (tracer) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
}
func (tracer) HandleRPC(context.Context, stats.RPCStats)                         {}
func (tracer) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (tracer) HandleConn(context.Context, stats.ConnStats)                       {}

func TestTokensMetadataAndTraceContextTravel(t *testing.T) {
	script, address := play(t, success)
	_, err := read(t, address, tessera.WithToken("secret"), tessera.WithStatsHandler(tracer{}),
		tessera.WithMetadata(func(context.Context) map[string]string { return map[string]string{"x-team": "books"} }))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"authorization": "Bearer secret",
		"x-team":        "books",
		"traceparent":   "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	} {
		if got := strings.Join(script.calls[0].Get(key), ","); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
}

func TestBothSidesOfTLSProveWhoTheyAre(t *testing.T) {
	certificate, authorities := selfSigned(t)
	script := &script{parts: []part{success}, ended: make(chan struct{}, 16)}
	target := "https://" + serve(t, script, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: authorities, ClientAuth: tls.RequireAndVerifyClientCert,
	})))
	known := &tls.Config{RootCAs: authorities, Certificates: []tls.Certificate{certificate}}
	if events, err := read(t, target, tessera.WithTLS(known)); err != nil || len(events) != 2 {
		t.Errorf("%v, %v", events, err)
	}
	for name, option := range map[string]tessera.Option{
		"an unknown server":     tessera.WithTLS(nil),
		"a client without name": tessera.WithTLS(&tls.Config{RootCAs: authorities}),
	} {
		if _, err := read(t, target, option, tessera.WithAttempts(1)); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// selfSigned is a certificate of this machine, and the authorities that know it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authorities
}

func TestDocumentsAreCheckedWhereTheServerCannot(t *testing.T) {
	for _, document := range []tessera.Document{
		{Type: "receit"}, {Type: "receipt", Prompt: "What?"}, {Prompt: "What?", Instructions: "read well"},
		{Schema: &tesserav1.ExtractionSchema{}, AnswerStyle: tesserav1.AnswerStyle_ANSWER_STYLE_JSON},
	} {
		if _, err := document.Request(); err == nil {
			t.Errorf("%v is taken", document)
		}
	}
	own, err := tessera.Document{JSONSchema: "{}", Instructions: "read well", Priority: tesserav1.Priority_PRIORITY_BATCH}.Request()
	if err != nil || own.GetSchema().GetJsonSchema() != "{}" || own.GetSchema().GetInstructions() != "read well" ||
		own.GetPriority() != tesserav1.Priority_PRIORITY_BATCH {
		t.Errorf("%v, %v", own, err)
	}
	if _, err := (tessera.Document{Type: "receit"}).Request(); !strings.Contains(err.Error(), "auto, bank-statement, invoice, receipt") {
		t.Error(err)
	}
}

func TestAServerThatIsGoneWithoutAWordIsFound(t *testing.T) {
	_, address := play(t, endless)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	// From some time on nothing passes, as with a machine that lost its power.
	var silent atomic.Bool
	pump := func(from, to net.Conn) {
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if !silent.Load() {
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			if far, err := net.Dial("tcp", address); err == nil {
				go pump(near, far)
				go pump(far, near)
			}
		}
	}()
	// grpc-go pings no more often than every 10 s.
	pings := grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second})
	client := dial(t, listener.Addr().String(), tessera.WithDialOptions(pings))
	begin, document := time.Now(), tessera.Document{Files: [][]byte{[]byte("page")}, Prompt: "What?"}
	for _, err := range client.Stream(t.Context(), document) {
		silent.Store(true)
		if err != nil && status.Code(err) != codes.Unavailable {
			t.Error(err)
		}
	}
	if took := time.Since(begin); took > time.Minute {
		t.Errorf("found after %s", took)
	}
}
