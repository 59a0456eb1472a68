# The two doors: `make demo` shows what Tessera does, `make test` is everything that CI runs.
# Needs Rust; Python and Go clients are tested where their language is installed.

CARGO ?= cargo
PYTHON ?= python3
GO ?= go
# Where cargo builds, also where CARGO_TARGET_DIR says otherwise.
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# The clients test this binary: the dev profile, which the tests have built anyway.
BINARY = $(abspath $(TARGET_DIR))/debug/tessera

.PHONY: help demo test format lint unit docs binary python go proto deny
# One after the other: they share two cores and one build directory.
.NOTPARALLEL:

help:
	@echo "make demo    build, and watch a bundled receipt being read"
	@echo "make test    everything that CI runs"
	@echo "make format  put the code into its form"

demo:
	$(CARGO) build --release --locked
	$(abspath $(TARGET_DIR))/release/tessera demo

format:
	$(CARGO) fmt

# Docs are built with private items, so links to them hold.
# In the order in which a mistake shows soonest.
test: lint unit docs python go proto deny
	@echo "make test: all passed"

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

# Unit, integration and documentation tests, all in the dev profile: nothing is compiled twice.
unit:
	$(CARGO) test --locked

docs:
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items

# What the clients talk to; the tests have built it already.
binary:
	$(CARGO) build --locked

python: binary
	@if ! command -v $(PYTHON) >/dev/null; then \
		echo "python client: skipped, $(PYTHON) is not installed"; \
	elif ! $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
		echo "python client: skipped, $(PYTHON) has no venv (on Debian: apt install python3-venv)"; \
	else \
		set -e; cd clients/python; \
		[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv; \
		.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'; \
		TESSERA_BIN="$(BINARY)" .venv/bin/python -m pytest; \
	fi

go: binary
	@if command -v $(GO) >/dev/null; then \
		set -e; cd clients/go; $(GO) vet ./...; \
		TESSERA_BIN="$(BINARY)" $(GO) test -count=1 ./...; \
	else \
		echo "go client: skipped, $(GO) is not installed"; \
	fi

# The protocol's style; a Rust test holds its shape in any case.
proto:
	@if command -v buf >/dev/null; then \
		cd proto && buf lint && echo "buf lint: passed"; \
	else \
		echo "buf lint: skipped, buf is not installed"; \
	fi

deny:
	@if command -v cargo-deny >/dev/null; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "cargo deny: skipped, cargo-deny is not installed"; \
	fi
