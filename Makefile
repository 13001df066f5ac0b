# The ways to build, run and check Sallyport. Everything that is downloaded lands below tests/.tools.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

# Cargo's own variable is honoured; what others read is always found below target/.
BUILD_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),$(CURDIR)/target)
WASM_TARGET := wasm32-wasip2
PLUGINS := local aws_s3 azure
EXAMPLES := opendal sealed_s3
TOOLS := $(CURDIR)/tests/.tools
SERVER := target/release/sallyport
WASM := $(BUILD_DIR)/$(WASM_TARGET)/plugin

.PHONY: build plugins examples run test tools lint bench soak fuzz clean compat wasm-target cargo-deny

## build: the server at target/release/sallyport
build:
	cargo build --release --package sallyport
	mkdir -p target/release
	[ "$(BUILD_DIR)/release/sallyport" -ef $(SERVER) ] || install -m 755 "$(BUILD_DIR)/release/sallyport" $(SERVER)

wasm-target:
	@if ! rustc --print target-libdir --target $(WASM_TARGET) 2>/dev/null | xargs -r test -d; then \
	  echo "rustup target add $(WASM_TARGET)"; \
	  rustup target add $(WASM_TARGET) || { \
	    echo "The Rust target $(WASM_TARGET) is missing and rustup could not add it."; \
	    echo "Install rustup (https://rustup.rs) or your distribution's rust-std for $(WASM_TARGET), then run make again."; \
	    exit 1; }; \
	fi

## plugins: the components at target/plugins/<type>.wasm, with the checksums that make them the release's own
plugins: wasm-target
	cargo build --profile plugin --target $(WASM_TARGET) $(addprefix --package ,$(PLUGINS))
	mkdir -p target/plugins
	for plugin in $(PLUGINS); do cmp -s "$(WASM)/$$plugin.wasm" target/plugins/$$plugin.wasm \
	  || install -m 644 "$(WASM)/$$plugin.wasm" target/plugins/$$plugin.wasm; done
	cd target/plugins && sha256sum $(addsuffix .wasm,$(PLUGINS)) > SHA256SUMS

## examples: plugins that are no part of a release, at target/examples/<type>.wasm
examples: wasm-target
	cargo build --profile plugin --target $(WASM_TARGET) $(addprefix --package ,$(EXAMPLES))
	mkdir -p target/examples
	for plugin in $(EXAMPLES); do cmp -s "$(WASM)/$$plugin.wasm" target/examples/$$plugin.wasm \
	  || install -m 644 "$(WASM)/$$plugin.wasm" target/examples/$$plugin.wasm; done

## run: builds what is missing and serves on 127.0.0.1:8000
run: build plugins
	@echo
	@echo "  endpoint    http://127.0.0.1:8000"
	@echo "  access key  accessKey1"
	@echo "  secret key  verySecretKey1"
	@echo
	@echo "  s3cmd -c conf/s3cfg mb s3://first"
	@echo "  s3cmd -c conf/s3cfg put README.md s3://first"
	@echo "  s3cmd -c conf/s3cfg ls s3://first"
	@echo
	@exec $(SERVER) serve --plugins target/plugins $(SERVE_ARGUMENTS)

tools:
	tests/tools/install.sh

## test: installs what the tests need below tests/.tools and runs all of them
test: tools plugins examples
	tests/tools/run_tests.sh

cargo-deny:
	@command -v cargo-deny >/dev/null || [ -x $(TOOLS)/bin/cargo-deny ] \
	  || cargo install --quiet --locked --debug --root $(TOOLS) cargo-deny@0.20.2

## lint: formatting, clippy on both targets, and what may be depended upon
lint: wasm-target cargo-deny
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets -- --deny warnings
	cargo clippy --target $(WASM_TARGET) $(addprefix --package ,$(PLUGINS) $(EXAMPLES)) -- --deny warnings
	PATH=$(TOOLS)/bin:$$PATH cargo deny --log-level error check bans licenses sources

## bench: Sallyport beside what people use today, as a table and as target/bench.json
bench: build plugins tools
	bench/install.sh
	cargo build --release --package sallyport-bench
	@# On ext4 each server's folder gets a part of the disk of its own: what one removes slows no other.
	mkdir -p target/bench-folders && chattr +T target/bench-folders 2>/dev/null || true
	TMPDIR=$(CURDIR)/target/bench-folders SALLYPORT_BIN=$(CURDIR)/$(SERVER) SALLYPORT_PLUGINS=$(CURDIR)/target/plugins \
	  "$(BUILD_DIR)/release/sallyport-bench" $(BENCH_ARGUMENTS)

## compat: ceph/s3-tests, a checkout of which S3TESTS_DIR names, against what passed before
compat: build plugins tools
	tests/compat/s3tests/run.py $(COMPAT_ARGUMENTS)

## soak: the fault tests, a thousand kills long; the hostile plugins, ten thousand times each
soak: tools plugins
	SALLYPORT_KILLS=1000 tests/tools/run_tests.sh faults
	SALLYPORT_HOSTILE_REPETITIONS=10000 tests/tools/run_tests.sh hostile

## fuzz: each target of tests/fuzz (or those that FUZZ_TARGETS names) for FUZZ_SECONDS; wants a C++ compiler
fuzz:
	tests/tools/fuzz.sh $(FUZZ_TARGETS)

clean:
	cargo clean
	rm -rf target tests/.tools
