package mesh

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"istio.io/istio/pkg/test/util/assert"

	tesserav1 "github.com/tessera-server/tessera/clients/go/tesserav1"
)

// Without iptables a replica's sidecar has to be told where to listen and whom it stands before.
const sidecar = `
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: { name: tessera, namespace: default }
spec:
  workloadSelector: { labels: { app.kubernetes.io/name: tessera } }
  egress: [{ hosts: ["~/*"] }]
  ingress:
    - { port: { number: %[1]d, protocol: GRPC, name: grpc }, bind: 127.0.0.2, captureMode: NONE, defaultEndpoint: "127.0.0.1:%[2]d" }
    - { port: { number: %[3]d, protocol: HTTP, name: admin }, bind: 127.0.0.2, captureMode: NONE, defaultEndpoint: "127.0.0.1:%[4]d" }
`

// Between two sidecars all is mutual TLS. The rules of deploy/mesh/istio.yaml say who may call what.
func TestWhoMayCallInAMeshOfIstio(t *testing.T) {
	port, target, app, admin, appAdmin := freePort(t), freePort(t), freePort(t), freePort(t), freePort(t)
	replica := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: target}
	istiod := startIstiod(t, Cluster{
		port: port, admin: admin, replicas: []*net.TCPAddr{replica}, tlsMode: "istio",
		config: fmt.Sprintf(sidecar, target, app, admin, appAdmin),
	})
	authority := newAuthority(t)
	own := startEnvoy(t, "tessera", "127.0.0.2", istiod, authority.serve(t, "/ns/default/sa/tessera"))
	startServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: app},
		"--admin-listen", fmt.Sprintf("127.0.0.1:%d", appAdmin))
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()

	// What a workload of this identity gets: of an answer, of health, of reflection.
	call := func(t *testing.T, identity string) (answer, health, reflection error) {
		t.Helper()
		envoy := startEnvoy(t, "caller", "127.0.0.9", istiod, authority.serve(t, identity))
		envoy.until(t, "the sidecar knows of the replica", func() bool {
			return envoy.stat(fmt.Sprintf("cluster.outbound|%d||tessera.default.svc.cluster.local;.membership_total", port)) == 1
		})
		connection := dial(t, fmt.Sprintf("127.0.0.1:%d", port))
		defer connection.Close()
		return calls(ctx, t, connection)
	}
	t.Run("who is named", func(t *testing.T) {
		answer, health, reflection := call(t, "/ns/billing/sa/reader")
		assert.NoError(t, answer)
		assert.NoError(t, health)
		assert.Equal(t, codes.PermissionDenied, status.Code(reflection))
	})
	t.Run("who is not", func(t *testing.T) {
		answer, health, reflection := call(t, "/ns/billing/sa/other")
		assert.Equal(t, codes.PermissionDenied, status.Code(answer))
		assert.Equal(t, codes.PermissionDenied, status.Code(health))
		assert.Equal(t, codes.PermissionDenied, status.Code(reflection))
	})
	t.Run("who is not of the mesh", func(t *testing.T) {
		connection := dial(t, replica.String())
		defer connection.Close()
		answer, _, _ := calls(ctx, t, connection)
		assert.Equal(t, codes.Unavailable, status.Code(answer))
	})
	// A scrape comes from outside of the mesh, and changes nothing.
	for _, asked := range []struct {
		method, path string
		code         int
	}{
		{http.MethodGet, "/metrics", http.StatusOK},
		{http.MethodGet, "/readyz", http.StatusOK},
		{http.MethodPost, "/reload", http.StatusForbidden},
		{http.MethodGet, "/reload", http.StatusForbidden},
	} {
		request, err := http.NewRequestWithContext(ctx, asked.method, fmt.Sprintf("http://127.0.0.2:%d%s", admin, asked.path), nil)
		assert.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		assert.NoError(t, err)
		assert.Equal(t, asked.code, response.StatusCode, asked.method+" "+asked.path)
		_ = response.Body.Close()
	}
	t.Logf("the replica's sidecar refused %d calls", own.stat(fmt.Sprintf("http.inbound_127.0.0.2_%d;.rbac.denied", target)))
}

func calls(ctx context.Context, t *testing.T, connection *grpc.ClientConn) (answer, health, reflection error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	stream, answer := tesserav1.NewExtractionServiceClient(connection).Extract(ctx, question(t, 16))
	if answer == nil {
		_, answer = read(stream)
	}
	_, health = healthv1.NewHealthClient(connection).Check(ctx, &healthv1.HealthCheckRequest{})
	reflected, reflection := reflectionv1.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
	if reflection == nil {
		_ = reflected.Send(&reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{},
		})
		_, reflection = reflected.Recv()
	}
	return answer, health, reflection
}
