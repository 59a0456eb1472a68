// Package mesh runs replicas in a mesh of Istio, as far as that goes without a cluster: Istio's own control plane
// reads deploy/mesh/istio.yaml, and real Envoys are configured by it as sidecars are. What is not Istio's here is the
// Kubernetes that it watches (its own fake), and the agent that hands certificates to sidecars.
//
//	make mesh
package mesh

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/features"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test/util/assert"
)

// What a cluster holds: the Service as the chart makes it for a mesh, and a slice of endpoints for each replica.
const service = `
apiVersion: v1
kind: Service
metadata: { name: tessera, namespace: default }
spec:
  clusterIP: %[3]s
  selector: { app.kubernetes.io/name: tessera }
  ports:
    - { name: grpc, port: %[1]d, targetPort: %[2]d, appProtocol: kubernetes.io/h2c }
`

const replica = `---
apiVersion: v1
kind: Pod
metadata:
  name: tessera-%[1]d
  namespace: default
  labels: { app.kubernetes.io/name: tessera, security.istio.io/tlsMode: %[4]q }
spec: { serviceAccountName: tessera, containers: [{ name: tessera }] }
status: { podIP: %[2]s, phase: Running, conditions: [{ type: Ready, status: "True" }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: tessera-%[1]d, namespace: default, labels: { kubernetes.io/service-name: tessera } }
addressType: IPv4
endpoints:
  - addresses: [%[2]s]
    conditions: { ready: true }
    targetRef: { kind: Pod, name: tessera-%[1]d, namespace: default }
ports: [{ name: grpc, port: %[3]d, protocol: TCP }]
`

// Istiod is Istio's own discovery server, in this process, with deploy/mesh/istio.yaml and what of a cluster it
// looks at. Envoys get their configuration from it as they would in a mesh.
type Istiod struct {
	*xds.FakeDiscoveryServer
	address string
}

// Cluster is what Istio finds there.
type Cluster struct {
	// Of the Service: sidecars of callers listen on it.
	port int
	// Of the Service; "": some.
	address string
	// Of metrics and probes; 0: that of the files.
	admin    int
	replicas []*net.TCPAddr
	// "istio" where replicas have a sidecar of their own.
	tlsMode string
	// Beside deploy/mesh/istio.yaml.
	config string
}

func startIstiod(t *testing.T, cluster Cluster) *Istiod {
	t.Helper()
	for _, scope := range log.Scopes() {
		scope.SetOutputLevel(log.ErrorLevel)
	}
	// Filters of Istio's own build of Envoy, which an Envoy without them would refuse.
	features.ALPNFilter = false
	features.MetadataExchange = false
	objects := fmt.Sprintf(service, cluster.port, cluster.replicas[0].Port, cmp.Or(cluster.address, "10.96.0.10"))
	for i, at := range cluster.replicas {
		objects += fmt.Sprintf(replica, i, at.IP, at.Port, cluster.tlsMode)
	}
	file, err := os.ReadFile("../../deploy/mesh/istio.yaml")
	assert.NoError(t, err)
	// As `kubectl apply -n default` would, and with ports of this test.
	config := regexp.MustCompile(`(?m)^  name: tessera$`).ReplaceAllString(string(file), "$0\n  namespace: default")
	config = strings.ReplaceAll(config, "50051", fmt.Sprint(cluster.port))
	if cluster.admin != 0 {
		config = strings.ReplaceAll(config, "9464", fmt.Sprint(cluster.admin))
	}
	parsed, _, err := crd.ParseInputs(config + cluster.config)
	assert.NoError(t, err)
	for i := range parsed {
		// Without it short names of hosts would be nobody's, and their rules nobody's either.
		parsed[i].Domain = "cluster.local"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	assert.NoError(t, err)
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		Configs:                parsed,
		KubernetesObjectString: objects,
		ListenerBuilder:        func() (net.Listener, error) { return listener, nil },
	})
	return &Istiod{server, listener.Addr().String()}
}

// Ready says whether a replica's pod is ready, as the kubelet finds out and Kubernetes tells everybody.
func (i *Istiod) Ready(t *testing.T, replica int, ready bool) {
	t.Helper()
	slices := i.KubeClient().Kube().DiscoveryV1().EndpointSlices("default")
	slice, err := slices.Get(context.Background(), fmt.Sprintf("tessera-%d", replica), metav1.GetOptions{})
	assert.NoError(t, err)
	terminating := !ready
	slice.Endpoints[0].Conditions = discoveryv1.EndpointConditions{Ready: &ready, Terminating: &terminating}
	_, err = slices.Update(context.Background(), slice, metav1.UpdateOptions{})
	assert.NoError(t, err)
}
