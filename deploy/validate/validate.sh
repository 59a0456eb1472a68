#!/usr/bin/env bash
# Checks everything under deploy/ that can be checked without a cluster: the chart (helm lint, and rendered
# in every shape), kustomize, all manifests against the real schemas (kubeconform), Istio's by istioctl, Envoy's file
# against Envoy's own types and by Envoy itself, container files by hadolint, nginx's and systemd's by their own tools;
# a systemd also starts the unit (systemd.sh), and the server runs in the files that its image has (image.sh). What no
# schema knows, selectors and limits that fit, is checked by manifests.py.
# What is not installed is named and skipped, unless `make deploy-tools` has put it into target/; with STRICT=1 that is a
# failure.
#
#   make deploy-check
set -euo pipefail
cd "$(dirname "$0")/.."
work=${WORK:-$(mktemp -d)}
target=$(realpath -m "${CARGO_TARGET_DIR:-../target}")
PATH="$target/deploy-tools:$PATH:$target/envoy/bin"
skipped=0
# With PyYAML, which `make deploy-tools` brings.
python=$target/deploy-tools/venv/bin/python
[ -x "$python" ] || python=python3

have() {
    command -v "$1" >/dev/null && return 0
    echo "skipped: $2, $1 is not installed"
    skipped=1
    return 1
}

conform() {
    kubeconform -strict -summary -schema-location "$work/schemas/{{ .ResourceKind }}-{{ .Group }}-{{ .ResourceAPIVersion }}.json" "$@"
}

if have helm "the chart"; then
    mkdir -p "$work/chart"
    n=0
    while read -r -a values; do
        n=$((n + 1))
        helm lint --strict helm/tessera "${values[@]}" >"$work/lint" 2>&1 || { cat "$work/lint"; exit 1; }
        helm template tessera helm/tessera --kube-version 1.35.0 "${values[@]}" >"$work/chart/$n.yaml"
    done <<'SHAPES'

--set tls.secretName=t --set tls.clientAuth=require --set access.secretName=a
--set autoscaling.mode=keda --set serviceMonitor.enabled=true --set inferencePool.enabled=true --set networkPolicy.extraEgress[0].ports[0].port=15012 --set networkPolicy.extraIngress[0].ports[0].port=15008
--set autoscaling.mode=hpa --set gpu.count=2 --set gpu.runtimeClassName=nvidia --set model.path=/m --set model.volume.persistentVolumeClaim.claimName=c --set env.TESSERA_SLOTS=8
--set service.headless=false --set listenAddress=[::] --set networkPolicy.enabled=false --set podDisruptionBudget.enabled=false --set topologySpread.enabled=false
--set fetch.from[0]=https://docs.example.com --set fetch.from[1]=http://[2001:db8::1]:9000 --set fetch.from[2]=https://*.example.org --set fetch.networks[0]=10.20.0.0/16 --set fetch.caSecretName=c
--set gpu.count=1 --set gpu.kernelCache.volume.persistentVolumeClaim.claimName=kernels
SHAPES
    # Origins of files can be reached at their own ports, and where there are none nothing more can be.
    goes() { sed -n '/^  egress:/,/^---/p' "$work/chart/$1.yaml" | grep -c "$2"; }
    if [ "$(goes 6 'port: 443,')$(goes 6 'port: 9000,')$(goes 6 'cidr: "10.20.0.0/16"')$(goes 6 'port: 80,')" != 1110 ] ||
        [ "$(goes 1 'cidr: 0\|cidr: "')" != 0 ]; then
        echo "the chart's network policy does not follow fetch.from"
        exit 1
    fi
    # A driver has a place for its kernels where there is a GPU, unless nobody wants one, and nowhere else.
    helm template tessera helm/tessera --kube-version 1.35.0 --set gpu.count=1 --set gpu.kernelCache.enabled=false >"$work/no-cache.yaml"
    keeps() { grep -c 'kernel-cache\|CUDA_CACHE' "$1" || true; }
    if [ "$(keeps "$work/chart/1.yaml")$(keeps "$work/chart/4.yaml")$(keeps "$work/chart/7.yaml")$(keeps "$work/no-cache.yaml")" != 0440 ] ||
        [ "$(grep -c 'emptyDir' "$work/chart/4.yaml")$(grep -c 'emptyDir' "$work/chart/7.yaml")" != 10 ]; then
        echo "the chart's place for kernels is not where it should be"
        exit 1
    fi
    # What must be refused is.
    for wrong in replicas=many env.SLOTS=8 tls.clientAuth=maybe autoscaling.mode=magic model.volume.emptyDir.medium=Memory \
        'fetch.from[0]=docs.example.com' 'fetch.networks[0]=10.20.0.1' listenAddress=localhost; do
        if helm template tessera helm/tessera --kube-version 1.35.0 --set "$wrong" >/dev/null 2>&1; then
            echo "the chart takes --set $wrong"
            exit 1
        fi
    done
    echo "helm: $n shapes rendered"
fi

if have kustomize kustomize; then
    mkdir -p "$work/kustomize"
    for one in base gpu; do kustomize build "kustomize/$one" >"$work/kustomize/$one.yaml"; done
    echo "kustomize: built"
fi

if ! "$python" -c 'import yaml' 2>/dev/null; then
    echo "skipped: schemas of manifests, $python has no PyYAML"
    skipped=1
elif have kubeconform "schemas of manifests" && have go "schemas of manifests"; then
    [ -d "$work/schemas" ] || "$python" validate/schemas.py "$work/schemas"
    conform mesh/*.yaml
    if [ -d "$work/chart" ]; then conform "$work"/chart/*.yaml; fi
    if [ -d "$work/kustomize" ]; then conform "$work"/kustomize/*.yaml; fi
fi

# What belongs together fits together.
if ! "$python" -c 'import yaml' 2>/dev/null; then
    echo "skipped: selectors and limits of manifests, $python has no PyYAML"
    skipped=1
elif [ -d "$work/chart" ] && [ -d "$work/kustomize" ]; then
    fits() { "$python" validate/manifests.py "$@"; }
    # The mesh's files are about the pods of the chart.
    mkdir -p "$work/meshed"
    for file in mesh/*.yaml; do
        { cat "$work/chart/1.yaml" && printf -- '---\n' && cat "$file"; } >"$work/meshed/$(basename "$file")"
    done
    fits "$work"/chart/*.yaml "$work"/kustomize/*.yaml "$work"/meshed/*.yaml
    # What must be found is.
    while read -r file kind path value; do
        fits --set "$kind" "$path" "$value" "$work/$file.yaml" >"$work/unfit.yaml"
        if fits "$work/unfit.yaml" 2>/dev/null; then
            echo "$file: nothing is said of a $kind whose $path is $value"
            exit 1
        fi
    done <<'UNFIT'
kustomize/base NetworkPolicy spec.podSelector {}
kustomize/base PodDisruptionBudget spec.selector {}
kustomize/base Service spec.selector {}
kustomize/base Service spec.selector {"app.kubernetes.io/name":"other"}
kustomize/base Deployment spec.selector.matchLabels {}
kustomize/base Deployment spec.template.metadata.labels {"app.kubernetes.io/name":"other"}
kustomize/base Deployment spec.template.spec.topologySpreadConstraints.0.labelSelector {}
kustomize/base Deployment spec.template.spec.containers.0.resources.limits.memory "4Gi"
kustomize/gpu NetworkPolicy spec.podSelector.matchLabels {}
chart/1 NetworkPolicy spec.podSelector {"matchLabels":{"app.kubernetes.io/instance":"other"}}
chart/1 NetworkPolicy spec.ingress.0.ports.0.port "http"
chart/1 PodDisruptionBudget spec.selector {"matchLabels":{}}
chart/1 Service spec.ports.0.targetPort "http"
chart/3 ServiceMonitor spec.selector {}
chart/3 ServiceMonitor spec.selector {"matchLabels":{"app.kubernetes.io/name":"other"}}
chart/3 InferencePool spec.selector {"matchLabels":{}}
chart/3 ScaledObject spec.scaleTargetRef.name "other"
meshed/istio AuthorizationPolicy spec.selector {}
UNFIT
    echo "manifests: selectors, ports, targets and limits of memory fit"
fi

if have istioctl "Istio's files"; then
    {
        printf 'apiVersion: v1\nkind: Namespace\nmetadata: { name: default, labels: { istio-injection: enabled } }\n'
        if [ -f "$work/chart/1.yaml" ]; then printf -- '---\n' && cat "$work/chart/1.yaml"; fi
    } >"$work/mesh.yaml"
    istio() { istioctl "$@" >"$work/istio" 2>&1; }
    istio validate -f mesh/istio.yaml && istio analyze --use-kube=false mesh/istio.yaml mesh/gateway-api.yaml "$work/mesh.yaml" ||
        { cat "$work/istio"; exit 1; }
    # What must be found is: schemas take this, Istio does not.
    sed 's/attempts: 2,/attempts: -2,/' mesh/istio.yaml >"$work/wrong-istio.yaml"
    if istio validate -f "$work/wrong-istio.yaml"; then
        echo "istioctl takes a negative number of attempts"
        exit 1
    fi
    echo "istio: files hold"
fi

if have go "Envoy's file"; then
    (cd validate/envoy && go run . ../../proxy/envoy.yaml)
fi

if command -v envoy >/dev/null; then
    # As it is, and with calls shared out by load reports.
    sed -e '/lb_policy: LEAST_REQUEST/{r proxy/envoy-orca.yaml
d}' proxy/envoy.yaml >"$work/envoy-orca.yaml"
    for file in proxy/envoy.yaml "$work/envoy-orca.yaml"; do
        envoy --mode validate --config-path "$file" --log-level warn >"$work/envoy" 2>&1 || { cat "$work/envoy"; exit 1; }
        if grep -q '\[warning\]' "$work/envoy"; then cat "$work/envoy"; exit 1; fi
    done
    grep -q client_side_weighted_round_robin "$work/envoy-orca.yaml"
    echo "envoy: both files hold, without a warning"
else
    echo "skipped: Envoy's file by Envoy itself, which \`make envoy\` installs"
    skipped=1
fi

if have hadolint "the container files"; then
    hadolint Containerfile Containerfile.cuda
    echo "hadolint: container files hold"
fi

if have nginx "nginx's file"; then
    nginx -t -p "$work" -e "$work/nginx.log" -c "$PWD/proxy/nginx.conf" -g "pid $work/nginx.pid;" 2>&1 | tail -n 1
fi

if have systemd-analyze "the systemd unit"; then
    mkdir -p "$work/systemd"
    sed 's#/usr/local/bin/tessera#/bin/true#' systemd/tessera.service >"$work/systemd/tessera.service"
    systemd-analyze verify "$work/systemd/tessera.service"
    systemd-analyze security --offline=true --threshold=30 "$work/systemd/tessera.service" >/dev/null
    echo "systemd: unit verified"
fi

binary=${BINARY:-$(ls -t "$target"/release/tessera "$target"/debug/tessera 2>/dev/null | head -n 1 || true)}
if [ "$(id -u)" != 0 ] || [ -z "$binary" ]; then
    echo "skipped: the image's files and the systemd unit by systemd itself, which need root and a binary (make binary, or BINARY)"
    skipped=1
else
    if have dpkg-query "the image's files"; then validate/image.sh "$binary"; fi
    if have systemd-nspawn "the systemd unit by systemd itself"; then validate/systemd.sh "$binary"; fi
fi

if [ "$skipped" = 1 ] && [ "${STRICT:-0}" = 1 ]; then
    echo "something was skipped, and STRICT=1"
    exit 1
fi
echo "deploy: checked"
