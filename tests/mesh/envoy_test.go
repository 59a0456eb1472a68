package mesh

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"istio.io/istio/pkg/test/util/assert"
)

// As Istio's agent writes it, as far as an Envoy outside of a pod needs it.
const bootstrap = `
node:
  id: sidecar~%[1]s~%[2]s.default~default.svc.cluster.local
  cluster: %[2]s.default
  metadata:
    NAMESPACE: default
    CLUSTER_ID: Kubernetes
    SERVICE_ACCOUNT: %[2]s
    ISTIO_VERSION: 1.31.0
    # No iptables: listeners are on ports of their own.
    INTERCEPTION_MODE: NONE
    LABELS: { app.kubernetes.io/name: %[2]s, security.istio.io/tlsMode: istio }
admin: { address: { socket_address: { address: 127.0.0.1, port_value: %[3]d } } }
dynamic_resources:
  lds_config: { ads: {}, resource_api_version: V3 }
  cds_config: { ads: {}, resource_api_version: V3 }
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    grpc_services: [{ envoy_grpc: { cluster_name: xds-grpc } }]
static_resources:
  clusters:
`

const grpcCluster = `    - name: %[1]s
      type: STATIC
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }
      load_assignment:
        cluster_name: %[1]s
        endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %[2]s } } } }] }]
`

// Envoy is a sidecar.
type Envoy struct {
	admin string
	log   string
	ended chan struct{}
}

// startEnvoy starts the sidecar of a workload on ip, and waits until it is configured. Secrets come from sds.
func startEnvoy(t *testing.T, workload, ip string, istiod *Istiod, sds string) *Envoy {
	t.Helper()
	binary := os.Getenv("ENVOY_BIN")
	if binary == "" {
		t.Skip("needs an Envoy: set ENVOY_BIN; `make envoy` installs one")
	}
	dir := t.TempDir()
	admin := freePort(t)
	_, xds, _ := net.SplitHostPort(istiod.address)
	_, secrets, _ := net.SplitHostPort(sds)
	path := filepath.Join(dir, "envoy.yaml")
	config := fmt.Sprintf(bootstrap, ip, workload, admin) +
		fmt.Sprintf(grpcCluster, "xds-grpc", xds) + fmt.Sprintf(grpcCluster, "sds-grpc", secrets)
	assert.NoError(t, os.WriteFile(path, []byte(config), 0o600))
	envoy := &Envoy{fmt.Sprintf("http://127.0.0.1:%d", admin), filepath.Join(dir, "envoy.log"), make(chan struct{})}
	log, err := os.Create(envoy.log)
	assert.NoError(t, err)
	process := exec.Command(binary, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn")
	process.Stderr = log
	assert.NoError(t, process.Start())
	go func() {
		_ = process.Wait()
		close(envoy.ended)
	}()
	t.Cleanup(func() {
		_ = process.Process.Kill()
		<-envoy.ended
		_ = log.Close()
	})
	envoy.until(t, "Envoy is ready", func() bool {
		return strings.Contains(envoy.try("/ready"), "LIVE") && envoy.stat("listener_manager.workers_started") == 1
	})
	return envoy
}

func (e *Envoy) try(path string) string {
	response, err := http.Get(e.admin + path)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// A counter or gauge; 0 where there is none yet.
func (e *Envoy) stat(name string) int {
	for line := range strings.Lines(e.try("/stats")) {
		if value, found := strings.CutPrefix(line, name+": "); found {
			count, _ := strconv.Atoi(strings.TrimSpace(value))
			return count
		}
	}
	return 0
}

func (e *Envoy) until(t *testing.T, what string, reached func() bool) {
	t.Helper()
	late := time.After(soon)
	for !reached() {
		log, _ := os.ReadFile(e.log)
		select {
		case <-late:
			t.Fatalf("not in time: %s\n%s", what, log)
		case <-e.ended:
			t.Fatalf("Envoy ended before %s:\n%s", what, log)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// What it knows of a replica: `rq_total`, `health_flags`, …
func (e *Envoy) host(cluster string, address *net.TCPAddr, what string) string {
	for line := range strings.Lines(e.try("/clusters")) {
		if value, found := strings.CutPrefix(line, fmt.Sprintf("%s::%s::%s::", cluster, address, what)); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
