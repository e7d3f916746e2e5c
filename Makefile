# The one interface for people and for CI. `make` lists what there is.

# What the tools are pinned to. The code generator is pinned in go.mod, which
# tools.go makes keep it, and the linter of the contract in api/package.json.
GOLANGCI_VERSION    := v2.15.0
BENCHSTAT_VERSION   := v0.0.0-20260908200009-22c9c6c9d4da
GOVULNCHECK_VERSION := v1.9.0

# What one may want to set: make bench BENCH_COUNT=3, make fuzz FUZZTIME=5m,
# make demo-receiver RECEIVER_FLAGS='-url https://hooks.example.com'.
BENCH_COUNT  ?= 10
FUZZTIME     ?= 30s
COVERAGE_MIN ?= 95

# The race detector needs a C compiler; without one the tests run all the same.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

# .bin holds tools and .out results; git ignores both. A linter that an older Go
# built can't read a newer Go's packages, hence Go's version in its path.
GOLANGCI_DIR := .bin/golangci-lint-$(GOLANGCI_VERSION)-$(shell go env GOVERSION)
GOLANGCI     := $(GOLANGCI_DIR)/golangci-lint
BENCHSTAT    := go run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
REDOCLY      := api/node_modules/.bin/redocly

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo demo-receiver demo-deploy demo-ingest test test-ingest generate check-generated lint lint-spec check-deps vet vuln cover bench smoke fuzz tidy ci

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run examples/quickstart
	go run ./examples/quickstart

demo-receiver: ## run examples/receiver
	go run ./examples/receiver $(RECEIVER_FLAGS)

demo-deploy: ## run examples/deploy, in memory whatever key is set
	APIVIDEO_API_KEY= go run ./examples/deploy -apply examples/deploy/webhooks.json

# examples/ingest is a module of its own, so that its dependencies stay there.
demo-ingest: ## run examples/ingest: receiver, stream and worker, with a fake api.video
	go -C examples/ingest run . demo

test: ## run all tests, with the race detector and in random order
	go test $(RACE) -shuffle=on -timeout 10m ./...

# A cluster of NATS servers in which one is killed takes its time to elect another.
test-ingest: ## run the tests of examples/ingest, on clusters of real NATS servers
	go -C examples/ingest test $(RACE) -shuffle=on -timeout 10m ./...

generate: ## write gen/ anew: the one thing to do after a change of openapi.yaml or api/
	@for part in models client server; do \
		go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config api/$$part.yaml openapi.yaml || exit 1; \
	done

check-generated: ## fail if gen/ isn't what generate would write
	@.ci/check-generated

lint: $(GOLANGCI) ## check the Go code's style, format and imports
	$(GOLANGCI) run ./...
	cd examples/ingest && ../../$(GOLANGCI) run --config ../../.golangci.yml ./...

lint-spec: $(REDOCLY) ## check openapi.yaml
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(REDOCLY) lint --config api/redocly.yaml --max-problems 1000 openapi.yaml

check-deps: ## fail if a program that imports this module gets more modules than it should
	@.ci/check-deps

vet: ## fail if go.mod isn't tidy, a package doesn't build or go vet complains
	go mod tidy -diff
	go -C examples/ingest mod tidy -diff
	go build ./...
	go vet ./...
	go -C examples/ingest vet ./...

# It asks the database of vulnerabilities over the network, whose answer changes
# without a change here. Therefore ci leaves it out.
vuln: ## fail if code that is used here is known to be vulnerable
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...
	go -C examples/ingest run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...

cover: ## measure the coverage of each package in facade/, fail below COVERAGE_MIN percent
	@mkdir -p .out
	go test -timeout 10m -coverpkg=./facade/... -coverprofile=.out/cover.out ./facade/...
	@awk -v min=$(COVERAGE_MIN) -f .ci/coverage.awk .out/cover.out

# The benchmarks take turns BENCH_COUNT times, so that a machine that gets
# slower meanwhile does so for all of them. Those that come in variants, via=...,
# are put side by side; the others follow.
bench: ## compare facade, generated client and plain net/http, and receiving with plain code
	@mkdir -p .out
	go test -c -o .out/ ./facade ./facade/notification
	@rm -f .out/bench.txt; i=0; while [ $$i -lt $(BENCH_COUNT) ]; do \
		i=$$((i + 1)); echo "run $$i of $(BENCH_COUNT)"; \
		for test in facade notification; do \
			.out/$$test.test -test.run '^$$' -test.bench . -test.benchmem -test.count 1 >>.out/bench.txt || \
				{ cat .out/bench.txt; exit 1; }; \
		done; \
	done
	$(BENCHSTAT) -filter '/via:/./' -col /via -row .name .out/bench.txt
	$(BENCHSTAT) -filter '-/via:/./' -row .name .out/bench.txt

smoke: ## run each benchmark once, and the demos in memory
	go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./facade ./facade/notification
	APIVIDEO_API_KEY= go run ./examples/quickstart >/dev/null
	APIVIDEO_API_KEY= go run ./examples/receiver >/dev/null
	APIVIDEO_API_KEY= go run ./examples/deploy -apply examples/deploy/webhooks.json >/dev/null

fuzz: ## run every fuzz test for FUZZTIME
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

tidy: $(GOLANGCI) ## tidy go.mod and format the Go code
	go mod tidy
	go -C examples/ingest mod tidy
	$(GOLANGCI) fmt
	cd examples/ingest && ../../$(GOLANGCI) fmt --config ../../.golangci.yml

ci: check-generated lint-spec lint check-deps vet cover test test-ingest smoke ## run every check but vuln

$(GOLANGCI):
	GOBIN=$(CURDIR)/$(GOLANGCI_DIR) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(REDOCLY): api/package.json api/package-lock.json
	npm ci --prefix api --no-audit --no-fund
	@touch $(REDOCLY)
