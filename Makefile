# Every target is a thin call of `cargo xtask`, see xtask/.
.DEFAULT_GOAL := help
.PHONY: run test demo bench build help rust

run: rust ## build what is missing, serve http://127.0.0.1:3000 from ./data
	@cargo xtask run

test: rust ## install what the tests need, run every check
	@cargo xtask test

demo: rust ## as run, on ./data-demo with 120 days of believable traffic
	@cargo xtask demo

bench: rust ## the benchmarks: a table, and target/bench/results.json
	@cargo xtask bench

build: rust ## the release binary target/release/agentframer, nothing started
	@cargo xtask build

help: ## this list
	@sed -n 's/^\([a-z0-9]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 14

rust:
	@command -v cargo >/dev/null || { \
	  echo "AgentFramer is built with Rust 1.95 or newer, and no cargo is on the PATH: install Rust with rustup (rustup.rs), then run make again." >&2; exit 1; }
	@command -v cc >/dev/null || { \
	  echo "AgentFramer's build needs a C compiler, and no cc is on the PATH: install one (on Debian: apt-get install gcc libc6-dev), then run make again." >&2; exit 1; }
