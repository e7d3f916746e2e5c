# Pinned tools. go.mod pins the code generator, api/package.json the spec linter.
GOLANGCI_VERSION    := v2.15.0
BENCHSTAT_VERSION   := v0.0.0-20260908200009-22c9c6c9d4da
GOVULNCHECK_VERSION := v1.9.0
OASDIFF_VERSION     := v1.36.0
EXP_VERSION         := v0.0.0-20261113113407-e3970619a1a4
# Settings, for example `make test MODULES=.` or `make bench BENCH_COUNT=3`.
MODULES      := . bench cmd/apivideo-webhooks internal/consumer examples/deduplicator examples/ingest examples/queue examples/recipes
BASE         ?= $(or $(shell git describe --tags --abbrev=0 --match 'v*' 2>/dev/null),HEAD)
BENCH_COUNT  ?= 10
export GOWORK := off
SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
$(if $(filter oneshell,$(.FEATURES)),,$(error GNU make 4 is required))
RACE          := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
TESTS         := $(MODULES:%=test/%)
GOLANGCI      := $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_VERSION)-$(shell go env GOVERSION)/golangci-lint
BENCHSTAT     := go run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
each           = for module in $(MODULES); do cd "$(CURDIR)/$$module"; $(1); done

.PHONY: help demo test $(TESTS) test-ingest test-queue test-nginx test-variants fuzz bench bench-peers generate tidy lint cover spec-diff api-diff vuln release-check ci check-generated lint-spec check-deps vet smoke
help:
	@awk -F ':.*## ' '/^##/ { print substr($$0, 4) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
## Use
demo: demo-quickstart ## run examples/quickstart, or with demo-NAME examples/NAME
demo-cli: ## run the command line tool with a fake server
	go -C cmd/apivideo-webhooks build -o $(CURDIR)/.out/apivideo-webhooks . && PATH="$(CURDIR)/.out:$$PATH" cmd/apivideo-webhooks/demo
demo-ingest: ARGS = demo
demo-%:
	go -C examples/$* run . $(ARGS)
test: ## run the tests of all modules, or with test/MODULE those of one
	@# Two modules at a time, but ingest alone, because its clusters need the disk in time.
	@for tests in '$(filter-out test/examples/ingest,$(TESTS))' '$(filter test/examples/ingest,$(TESTS))'; do [ -z "$$tests" ] || $(MAKE) --no-print-directory -j2 -O $$tests; done
$(TESTS): test/%:
	$(WITH) go -C $* test $(RACE) -shuffle=on -timeout 10m ./...
test/cmd/apivideo-webhooks: cmd/apivideo-webhooks/testdata/node/node_modules
test/examples/deduplicator test/examples/queue: WITH = scripts/with-postgres
test/examples/queue: RACE = -parallel 8 # SQLite in Go is ten times slower with the race detector
test/examples/ingest: RACE += -parallel 8
test-ingest test-queue: test-%: test/examples/%
test-nginx:
	PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null || { apt-get update && apt-get install -y nginx-light; }
	go test $(RACE) -shuffle=on -timeout 10m -tags nginx -run '^TestNginx_' ./facade
test-variants: # with encoding/json version 2, and with 32 bits if the kernel runs them
	GOEXPERIMENT=jsonv2 go test -timeout 10m ./facade/notification ./facade/facadetest
	export GOARCH=386 CGO_ENABLED=0; go vet ./facade/... && if go test -run '^$$' ./facade/internal/redact >/dev/null 2>&1; then go test -timeout 10m ./facade/notification ./facade/facadetest; fi
fuzz: ## run each fuzz test for FUZZTIME
	scripts/fuzz $(or $(FUZZTIME),30s)
bench: ## compare calls and receiving with plain code, BENCH_COUNT times
	scripts/bench $(BENCH_COUNT) .out/bench.txt '^Benchmark(Get|Create|List100|Get64)$$' ./facade ./facade/notification
	for projection in '-filter /via:/./ -col /via' '-filter -/via:/./'; do $(BENCHSTAT) $$projection -row .name .out/bench.txt; done
bench-peers: ## compare with other libraries, BENCH_COUNT times
	scripts/bench $(BENCH_COUNT) .out/bench-peers.txt .
	$(BENCHSTAT) -col '/via@(floor gen facade stripe svix hmac)' -row .name .out/bench-peers.txt
## Maintain
generate: ## generate gen/ from openapi.yaml and api/
	for part in models client server; do go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config api/$$part.yaml -o $(or $(GEN),gen)/$$part.gen.go openapi.yaml; done
tidy: $(GOLANGCI) ## tidy each go.mod and format the Go code
	@$(call each,go mod tidy; $(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml)
lint: $(GOLANGCI) ## lint the Go code of all modules
	@$(call each,$(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...)
cover: ## measure the coverage of facade/, at least 95 percent a package
	rm -rf .out/cover && mkdir -p .out/cover && go test -timeout 10m -coverpkg=./facade/... ./facade/... -args -test.gocoverdir=$(CURDIR)/.out/cover
	@go tool covdata percent -i=.out/cover | awk '{ print } $$3 + 0 < 95 { low = 1 } END { exit low || !NR }'
spec-diff: ## list breaking changes of openapi.yaml since BASE
	go run github.com/oasdiff/oasdiff@$(OASDIFF_VERSION) breaking --fail-on WARN --severity-levels api/oasdiff.txt '$(BASE):openapi.yaml' openapi.yaml
api-diff: ## list changes of the exported names since BASE
	@scripts/api-diff '$(BASE)' $(EXP_VERSION)
release-check: ## check that VERSION fits the changes since the last release
	go run golang.org/x/exp/cmd/gorelease@$(EXP_VERSION) $(if $(filter v%,$(BASE)),-base=$(BASE),-base=none) -version=$(VERSION)
vuln: ## find known vulnerabilities, over the network
	@$(call each,go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...)
ci: check-generated lint-spec lint check-deps vet cover test test-nginx test-variants smoke ## run all checks except vuln
check-generated:
	rm -rf .out/gen && mkdir -p .out/gen && $(MAKE) --no-print-directory generate GEN=.out/gen
	diff -ru -x '*_test.go' gen .out/gen || { echo 'gen/ is out of date: run make generate.'; exit 1; }
lint-spec: api/node_modules
	REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true api/node_modules/.bin/redocly lint --config api/redocly.yaml --max-problems 1000 openapi.yaml
check-deps:
	go -C internal/consumer build -o ../../.out/consumer . && .out/consumer
	go version -m .out/consumer | awk '$$1 == "dep" { print $$2 }' | LC_ALL=C sort | diff -u internal/consumer/modules.txt -
vet:
	@$(call each,go mod tidy -diff; go build -o /dev/null ./...; go vet ./...)
smoke:
	go test -run '^$$' -bench . -benchtime 1x ./facade ./facade/notification && go -C bench test -run '^$$' -bench . -benchtime 1x .
	@for demo in quickstart receiver cli; do APIVIDEO_API_KEY='' $(MAKE) --no-print-directory "demo-$$demo" >/dev/null; done
$(GOLANGCI):
	GOBIN=$(dir $@) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
%/node_modules: %/package.json %/package-lock.json
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund && touch $@
