# Noom from a bare checkout. `make run` serves it, `make test` checks it.
# Every target brings in what it needs; a step already done costs nothing.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

NOOM_TOOLS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/noom
export NOOM_TOOLS
# Our pinned tools first: cargo-leptos takes the wasm-bindgen it finds, unasked. Ours runs the pinned one.
export PATH := $(CURDIR)/scripts/tools:$(NOOM_TOOLS)/bin:$(PATH)

# The binary is target/release/noom whatever the shell's settings are, and what is
# set for another Leptos project does not change this one.
unexport CARGO_TARGET_DIR CARGO_BUILD_TARGET_DIR CARGO_BUILD_TARGET
unexport $(filter-out LEPTOS_SITE_ADDR,$(filter LEPTOS_% CARGO_TERM_%,$(.VARIABLES)))

WASM := --no-default-features --features hydrate --target wasm32-unknown-unknown

# Lints, tests and the release share one compilation of every dependency: the same profile and
# the flags that cargo-leptos sets. Our own crates are tested with checks that a release omits.
check lint unit unit-build bench-build: export RUSTFLAGS := --cfg erase_components
check lint unit unit-build bench-build: export LEPTOS_OUTPUT_NAME := noom
check lint unit unit-build bench-build: export DISABLE_SERVER_FN_HASH := true
CHECKED := $(foreach crate,noom noom-bench,$(foreach setting,opt-level=0 debug-assertions=true \
	overflow-checks=true codegen-units=16,--config profile.release.package.$(crate).$(setting)))
# The compiler of the tests is the linter, which saves `make test` another pass over every crate.
unit-build unit: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
unit-build unit: export CLIPPY_ARGS := -Dwarnings__CLIPPY_HACKERY__
# Their binaries stay out of target/release, where the one to be run belongs.
TESTS := --release --workspace --features ssr,rust-embed/debug-embed $(CHECKED) \
	--target-dir target/checked --config build.build-dir='"target"'

.PHONY: deb release sbom
.PHONY: help run share test watch setup build check lint unit-build unit e2e attack attack-short chaos bench bench-build build-again bench-chat bench-pages bench-media

help:
	@echo "make run     build the release and serve it on http://127.0.0.1:3000"
	@echo "make share   the same for the phone beside you, on https with a self-signed certificate"
	@echo "make test    every check: format, lints, unit, browser end to end"
	@echo "make attack  200 strangers at their worst, beside a call and a chat that must not notice"
	@echo "make chaos   kill the server under 200 clients, 30 times, and count"
	@echo "make bench   measure it beside its peers: conversations, pages and media, two hours"
	@echo "make watch   serve while you work, rebuilt at each change"
	@echo "make release the binary, a Debian package and the list of its components (CycloneDX)"
	@echo "parts:       setup build check unit e2e attack-short deb sbom"

run: build
	@exec target/release/noom

share: build
	@exec target/release/noom --tls self-signed --listen 0.0.0.0:8443

# One after the other, however make was called. A check that passed is not repeated until a file
# changes (scripts/once). The site is built before the tests, whose server embeds it: later it
# would compile them again.
test:
	@scripts/setup build check end2end
	@scripts/once lint $(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory build
	@scripts/once unit $(MAKE) --no-print-directory unit
	@scripts/once e2e $(MAKE) --no-print-directory e2e
	@scripts/once attack-short $(MAKE) --no-print-directory attack-short
	@scripts/sizes

watch:
	@scripts/setup build
	@mkdir -p target/site
	@rm -f target/passed/build
	cargo-leptos watch --split

setup:
	@scripts/setup build check end2end

# Not repeated while no file changes: cargo-leptos writes the site anew each time, and the server,
# which embeds it, is compiled again.
build:
	@scripts/setup build
	@[ -x target/release/noom ] && [ -d target/site/pkg ] || rm -f target/passed/build
	@scripts/once build $(MAKE) --no-print-directory build-again

# The server embeds the site, so the folder is there before anything compiles.
build-again:
	@mkdir -p target/site
	cargo-leptos build --release --split --precompress
	@scripts/notices target/release/THIRD-PARTY-NOTICES.txt

# What is published: the binary, its package, and what both halves are made of.
release: deb sbom
	@ls -l target/release/noom target/release/*.cdx.json target/debian/*.deb

# Of the binary that `build` made: cargo-deb would build it without the site.
deb: build
	@scripts/setup deb
	cargo deb --no-build --no-strip

# The server and the pages are compiled from different crates. cargo-cyclonedx writes a file beside
# the manifest of each crate of the workspace.
sbom:
	@scripts/setup sbom
	cargo cyclonedx --format json --features ssr --target $$(rustc --print host-tuple) --override-filename noom.cdx
	cargo cyclonedx --format json $(WASM) --override-filename noom-pages.cdx
	@mkdir -p target/release && mv noom.cdx.json noom-pages.cdx.json target/release/
	@rm -f bench/noom.cdx.json bench/noom-pages.cdx.json

check: lint
	cargo clippy --release --workspace --all-targets --features ssr -- -D warnings

# What `unit-build` does not check.
lint:
	@scripts/setup check
	@mkdir -p target/site
	cargo fmt --check
	leptosfmt --quiet --check src
	cargo clippy --profile wasm-release --target-dir target/front --lib $(WASM) -- -D warnings
	cargo deny --log-level error check licenses bans sources

# The tests, compiled; an attack round uses the generator among them.
unit-build:
	@scripts/setup check
	@mkdir -p target/site
	cargo test $(TESTS) --no-run

unit: unit-build
	cargo test $(TESTS)

e2e: build
	@scripts/setup end2end
	cd end2end && npm test

# Strangers from 200 addresses, in a network of its own: five minutes, and 40 s of it in
# `make test`, where the bounds of time are wide: a test is no benchmark.
attack: bench-build
	target/release/noom-bench attack

attack-short: build unit-build
	@scripts/setup attack
	target/checked/release/noom-bench attack --seconds 40 --slack 10

# The long form of the chaos tests: 30 kills under 200 clients. CHAOS_SEED plays one again.
chaos: build
	@scripts/setup end2end
	cd end2end && CHAOS=long npx playwright test chaos.spec.ts

# Servers on the first core, the generator on the second. QUICK=1 only shows that it works.
BENCH = taskset -c 1 target/release/noom-bench $(if $(QUICK),--quick)

bench: bench-chat bench-pages bench-media

bench-build: build
	@scripts/setup bench
	cargo build --release -p noom-bench

bench-chat: bench-build
	$(BENCH) chat

bench-pages: bench-build
	$(BENCH) pages

# In a network of its own: Janus offers no loopback candidate.
bench-media: bench-build
	$(BENCH) media
