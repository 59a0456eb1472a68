package mesh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/test/util/assert"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// A mesh of two replicas and the sidecar of a caller.
type mesh struct {
	istiod   *Istiod
	sidecar  *Envoy
	port     int
	replicas []*net.TCPAddr
	client   tesserav1.ExtractionServiceClient
}

func startMesh(t *testing.T) *mesh {
	t.Helper()
	port, target := freePort(t), freePort(t)
	replicas := []*net.TCPAddr{
		{IP: net.IPv4(127, 0, 0, 2), Port: target}, {IP: net.IPv4(127, 0, 0, 3), Port: target},
	}
	istiod := startIstiod(t, Cluster{port: port, replicas: replicas, tlsMode: "disabled"})
	sidecar := startEnvoy(t, "caller", "127.0.0.9", istiod, newAuthority(t).serve(t, "/ns/billing/sa/reader"))
	connection := dial(t, fmt.Sprintf("127.0.0.1:%d", port))
	t.Cleanup(func() { _ = connection.Close() })
	return &mesh{istiod, sidecar, port, replicas, tesserav1.NewExtractionServiceClient(connection)}
}

// Statistics of the Service's cluster in the sidecar.
func (m *mesh) stat(name string) int {
	return m.sidecar.stat(fmt.Sprintf("cluster.outbound|%d||tessera.default.svc.cluster.local;.%s", m.port, name))
}

func (m *mesh) untilMembers(t *testing.T, count int) {
	t.Helper()
	m.sidecar.until(t, fmt.Sprintf("the sidecar knows of %d replicas", count), func() bool {
		return m.stat("membership_total") == count
	})
}

// The sidecar's first call of a replica waits for a connection; afterwards none does.
func (m *mesh) untilBothWereAsked(t *testing.T) {
	t.Helper()
	for _, address := range m.replicas {
		m.sidecar.until(t, fmt.Sprintf("%s was asked", address), func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), soon)
			defer cancel()
			_, err := m.client.ModelInfo(ctx, &tesserav1.ModelInfoRequest{})
			assert.NoError(t, err)
			asked := m.sidecar.host(m.cluster(), address, "rq_success")
			return asked != "" && asked != "0"
		})
	}
}

// Why the files say that a Service in a mesh must not be headless.
func TestAHeadlessServiceIsNotBalanced(t *testing.T) {
	replicas := []*net.TCPAddr{{IP: net.IPv4(127, 0, 0, 2), Port: 50051}}
	for address, expected := range map[string]cluster.Cluster_DiscoveryType{
		"10.96.0.10": cluster.Cluster_EDS, "None": cluster.Cluster_ORIGINAL_DST,
	} {
		istiod := startIstiod(t, Cluster{port: 50051, address: address, replicas: replicas, tlsMode: "istio"})
		proxy := istiod.SetupProxy(&model.Proxy{ConfigNamespace: "default"})
		made := xdstest.ExtractCluster("outbound|50051||tessera.default.svc.cluster.local", istiod.Clusters(proxy))
		assert.Equal(t, expected, made.GetType(), address)
	}
}

// No call fails although no caller tries again: Kubernetes says that a pod goes while it is told to, Istio says it
// to sidecars, and these ask the other replica where they were too late.
func TestARollingRestartInAMeshOfIstio(t *testing.T) {
	m := startMesh(t)
	flags := []string{"--drain-propagation", "2s"}
	running := []*Server{startServer(t, m.replicas[0], flags...), startServer(t, m.replicas[1], flags...)}
	m.untilMembers(t, 2)
	var answered atomic.Int64
	var callers sync.WaitGroup
	over := make(chan struct{})
	for range 3 {
		callers.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(context.Background(), soon)
				stream, err := m.client.Extract(ctx, question(t, 16))
				if err == nil {
					_, err = read(stream)
				}
				cancel()
				if err != nil {
					t.Errorf("a call failed: %v", err)
				}
				answered.Add(1)
			}
		})
	}
	more := func(count int64) {
		goal := answered.Load() + count
		m.sidecar.until(t, "calls are answered", func() bool { return answered.Load() >= goal })
	}
	for i, server := range running {
		more(6)
		ended := server.stop()
		// What is last to know is the sidecar: the first time within the server's --drain-propagation, the
		// second time long after it, when the replica takes nobody any more.
		time.Sleep([]time.Duration{500 * time.Millisecond, 6 * time.Second}[i])
		m.istiod.Ready(t, i, false)
		m.untilMembers(t, 1)
		assert.NoError(t, <-ended)
		startServer(t, m.replicas[i], flags...)
		m.istiod.Ready(t, i, true)
		m.untilMembers(t, 2)
	}
	more(12)
	close(over)
	callers.Wait()
	t.Logf("%d calls, the sidecar tried again %d times", answered.Load(), m.stat("upstream_rq_retry"))
}

// A stream takes as long as it takes, and goes to both replicas over one connection of a client.
func TestStreamsAreNotCut(t *testing.T) {
	m := startMesh(t)
	// Envoy's own limit of a route is 15 s, and the server's longest silence 20 s.
	for _, address := range m.replicas {
		startServer(t, address, "--weights", "fake:step=1s", "--slots", "1")
	}
	m.untilMembers(t, 2)
	var reading sync.WaitGroup
	for i := range 4 {
		reading.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			stream, err := m.client.Extract(ctx, question(t, 512))
			if err != nil {
				t.Errorf("call %d: %v", i, err)
				return
			}
			for began := time.Now(); time.Since(began) < 45*time.Second; {
				if _, err := stream.Recv(); err != nil {
					t.Errorf("call %d was cut after %s: %v", i, time.Since(began), err)
					return
				}
			}
		})
	}
	reading.Wait()
	for _, address := range m.replicas {
		if sent := m.sidecar.host(m.cluster(), address, "rq_total"); sent == "0" {
			t.Errorf("%s was never asked", address)
		}
	}
}

// What the client says and what the server refuses arrive as they are.
func TestDeadlinesCancelsAndRefusals(t *testing.T) {
	m := startMesh(t)
	for _, address := range m.replicas {
		startServer(t, address, "--weights", "fake:step=500ms", "--slots", "1", "--queue", "1")
	}
	m.untilMembers(t, 2)
	m.untilBothWereAsked(t)
	// The sidecar counts from when it has the request, the server from when the request reaches it, and ends a call
	// half a second earlier: the way between them, there and back, has to fit in. On a full machine that takes time.
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	stream, err := m.client.Extract(ctx, question(t, 512))
	assert.NoError(t, err)
	_, err = read(stream)
	t.Logf("past its deadline the call ended with %q; the sidecar broke off %d", err, m.stat("upstream_rq_timeout"))
	assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
	// The server said so: neither the client nor the sidecar, which keeps the deadline too, had to cut the call.
	assert.Equal(t, "DEADLINE", reason(err))
	assert.Equal(t, 0, m.stat("upstream_rq_timeout"))
	cancel()

	// Both replicas are full: no other is asked, and the caller is told when to come back.
	m.untilIdle(t)
	held, release := context.WithCancel(context.Background())
	for _, address := range m.replicas {
		for range 2 {
			direct := dial(t, address.String())
			defer direct.Close()
			stream, err := tesserav1.NewExtractionServiceClient(direct).Extract(held, question(t, 512))
			assert.NoError(t, err)
			_, err = stream.Recv()
			assert.NoError(t, err)
		}
	}
	var trailer metadata.MD
	stream, err = m.client.Extract(context.Background(), question(t, 512), grpc.Trailer(&trailer))
	assert.NoError(t, err)
	_, err = read(stream)
	assert.Equal(t, codes.ResourceExhausted, status.Code(err))
	assert.Equal(t, "QUEUE_FULL", reason(err))
	assert.Equal(t, 1, len(stream.Trailer().Get("grpc-retry-pushback-ms")))
	assert.Equal(t, 0, m.stat("upstream_rq_retry"))
	// Refusals are no failures of the host: both are still asked.
	assert.Equal(t, 0, m.stat("outlier_detection.ejections_active"))

	// A caller that goes frees its slot.
	release()
	m.untilIdle(t)
	ctx, cancel = context.WithCancel(context.Background())
	stream, err = m.client.Extract(ctx, question(t, 512))
	assert.NoError(t, err)
	_, err = stream.Recv()
	assert.NoError(t, err)
	cancel()
	m.untilIdle(t)
}

// What the server says of a status; "" where it is not the server's.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, is := detail.(*errdetails.ErrorInfo); is {
			return info.Reason
		}
	}
	return ""
}

func (m *mesh) cluster() string {
	return fmt.Sprintf("outbound|%d||tessera.default.svc.cluster.local", m.port)
}

// Waits until nothing runs or waits on a replica.
func (m *mesh) untilIdle(t *testing.T) {
	t.Helper()
	for _, address := range m.replicas {
		direct := dial(t, address.String())
		defer direct.Close()
		m.sidecar.until(t, "replicas are idle", func() bool {
			info, err := tesserav1.NewExtractionServiceClient(direct).ModelInfo(context.Background(), &tesserav1.ModelInfoRequest{})
			load := info.GetStatus().GetLoad()
			return err == nil && load.GetRunningRequests() == 0 && load.GetQueuedRequests() == 0
		})
	}
}
