# The habits of this repository; `make` lists them.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help check advisories provision test faults bench demo

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

check: ## rustfmt, clippy without warnings, cargo-deny (licences, bans, sources)
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	@$(CARGO) deny --version >/dev/null 2>&1 || { echo 'make check needs cargo-deny: cargo install cargo-deny --locked' >&2; exit 1; }
	$(CARGO) deny --all-features check licenses bans sources

advisories: ## known vulnerabilities; fetches the advisory database
	$(CARGO) deny --all-features check advisories

provision: ## fetch and build the servers that the tests start (once, about 5 minutes)
	$(CARGO) run --quiet --locked --package testbed -- provision

test: provision ## every test, on a real Kafka and a real Kubernetes
	$(CARGO) test --workspace --all-features --locked

ROUNDS ?= 1
faults: ## every fault of the catalogue ROUNDS times; the table goes to target/faults.md, STOOP_FAULTS_SEED repeats
	$(CARGO) run --quiet --locked --package testbed -- provision kafka
	STOOP_FAULTS_ROUNDS=$(ROUNDS) STOOP_FAULTS_REPORT=target/faults.md \
		$(CARGO) test --locked --features servers --test faults -- --ignored --exact no_fault_of_the_catalogue_ever_loses_an_event

bench: ## ratios to the raw clients, printed as tables
	$(CARGO) bench --locked --package playbooks --bench decide
	$(CARGO) bench --locked --package brokers --bench journal
	$(CARGO) bench --locked --package brokers --features servers --bench nats --bench pubsub
	$(CARGO) bench --locked --package stoop --bench latency --bench storm --bench scale --bench kafka --bench memory

demo: ## the whole way of an event, with no broker and no cluster
	$(CARGO) run --release --locked -- demo
