# The one interface for people and for CI. `make` lists what there is.

# What the tools are pinned to. The code generator is pinned in go.mod, which
# tools.go makes keep it, and the linter of the contract in api/package.json.
GOLANGCI_VERSION    := v2.15.0
BENCHSTAT_VERSION   := v0.0.0-20260908200009-22c9c6c9d4da
GOVULNCHECK_VERSION := v1.9.0
OASDIFF_VERSION     := v1.36.0

# What one may want to set: make bench BENCH_COUNT=3, make fuzz FUZZTIME=5m,
# make spec-diff BASE=v1.2.3, make demo-receiver RECEIVER_FLAGS='-url
# https://hooks.example.com'. BASE is the latest tag, or HEAD if there is none.
BASE         ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo HEAD)
BENCH_COUNT  ?= 10
FUZZTIME     ?= 30s
COVERAGE_MIN ?= 95

# The module, and those within it that its users never get.
MODULES := . bench examples/deduplicator examples/ingest examples/recipes internal/consumer

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
.PHONY: help demo demo-receiver demo-deploy demo-ingest test test-ingest test-deduplicator test-nginx test-recipes generate check-generated spec-diff lint lint-spec check-deps vet vuln cover bench bench-peers smoke fuzz tidy ci

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

test-deduplicator: ## run the tests of examples/deduplicator, on SQLite and a temporary PostgreSQL
	scripts/with-postgres go -C examples/deduplicator test $(RACE) -shuffle=on -count=1 -timeout 10m ./...

# A cluster of NATS servers in which one is killed takes its time to elect another.
test-ingest: ## run the tests of examples/ingest, on clusters of real NATS servers
	go -C examples/ingest test $(RACE) -shuffle=on -timeout 10m ./...

# Debian's nginx, as root. Elsewhere, install nginx beforehand.
test-nginx: ## run the tests behind a real nginx, which apt-get installs if it is missing
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null || { apt-get update && apt-get install -y nginx-light; }
	go test $(RACE) -shuffle=on -timeout 10m -tags nginx -run '^TestNginx_' ./facade

test-recipes: ## run the tests of examples/recipes
	go -C examples/recipes test $(RACE) -shuffle=on -timeout 10m ./...

generate: ## write gen/ anew: the one thing to do after a change of openapi.yaml or api/
	@for part in models client server; do \
		go run github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen -config api/$$part.yaml openapi.yaml || exit 1; \
	done

check-generated: ## fail if gen/ isn't what generate would write
	@.ci/check-generated

# What oasdiff warns of counts too: it takes a notification, which the service
# sends, for a request, where a member that goes breaks nobody for sure. A commit
# is compared with itself unless BASE says otherwise or there are tags.
spec-diff: ## tell what openapi.yaml breaks compared with BASE, fail if anything
	go run github.com/oasdiff/oasdiff@$(OASDIFF_VERSION) breaking --fail-on WARN --severity-levels api/oasdiff.txt '$(BASE):openapi.yaml' openapi.yaml

lint: $(GOLANGCI) ## check the Go code's style, format and imports
	@for module in $(MODULES); do (cd $$module && $(CURDIR)/$(GOLANGCI) run --config $(CURDIR)/.golangci.yml ./...) || exit 1; done

lint-spec: $(REDOCLY) ## check openapi.yaml
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(REDOCLY) lint --config api/redocly.yaml --max-problems 1000 openapi.yaml

check-deps: ## fail if internal/consumer doesn't run, or gets more modules than it should
	@.ci/check-deps

vet: ## fail if a go.mod isn't tidy, a package doesn't build or go vet complains
	@for module in $(MODULES); do \
		(cd $$module && go mod tidy -diff && go build -o /dev/null ./... && go vet ./...) || exit 1; \
	done

# It asks the database of vulnerabilities over the network, whose answer changes
# without a change here. Therefore ci leaves it out.
vuln: ## fail if code that is used here is known to be vulnerable
	@for module in $(MODULES); do (cd $$module && go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...) || exit 1; done

cover: ## measure the coverage of each package in facade/, fail below COVERAGE_MIN percent
	@mkdir -p .out
	go test -timeout 10m -coverpkg=./facade/... -coverprofile=.out/cover.out ./facade/...
	@awk -v min=$(COVERAGE_MIN) -f .ci/coverage.awk .out/cover.out

# The benchmarks take turns BENCH_COUNT times, so that a machine that gets
# slower meanwhile does so for all of them. Those that come in variants, via=...,
# are put side by side; the others follow.
bench: ## compare calls and receiving with plain code and the generated client
	@mkdir -p .out
	go test -c -o .out/ ./facade ./facade/notification
	cd bench && go test -c -o ../.out/ .
	@rm -f .out/bench.txt; i=0; while [ $$i -lt $(BENCH_COUNT) ]; do \
		i=$$((i + 1)); echo "run $$i of $(BENCH_COUNT)"; \
		for test in 'bench.test -test.bench ^Benchmark(Get|Create|List100|Get64)$$' \
			'facade.test -test.bench .' 'notification.test -test.bench .'; do \
			.out/$$test -test.run '^$$' -test.benchmem -test.count 1 >>.out/bench.txt || \
				{ cat .out/bench.txt; exit 1; }; \
		done; \
	done
	$(BENCHSTAT) -filter '/via:/./' -col /via -row .name .out/bench.txt
	$(BENCHSTAT) -filter '-/via:/./' -row .name .out/bench.txt

# The same with others in it, and the sizes of one program made three ways. All
# that was measured stays in .out/bench-peers.txt, for benchstat to tell more of.
bench-peers: ## compare with other libraries, the generated client and plain code
	@mkdir -p .out/size
	cd bench && go test -c -o ../.out/ .
	cd bench && go build -trimpath -ldflags='-s -w' -o ../.out/size/ ./size/...
	@rm -f .out/bench-peers.txt; i=0; while [ $$i -lt $(BENCH_COUNT) ]; do \
		i=$$((i + 1)); echo "run $$i of $(BENCH_COUNT)"; \
		.out/bench.test -test.run '^$$' -test.bench . -test.benchmem -test.benchtime 0.5s >>.out/bench-peers.txt || \
			{ cat .out/bench-peers.txt; exit 1; }; \
	done
	@$(BENCHSTAT) -format csv -col '/via@(floor gen facade stripe svix hmac)' -row .name .out/bench-peers.txt \
		>.out/bench-peers.csv 2>.out/bench-peers.log || { cat .out/bench-peers.log; exit 1; }
	@for pair in floor/nethttp gen/gen facade/webhooks; do \
		echo "binary,$${pair%/*},$$(wc -c <.out/size/$${pair#*/})"; \
	done >>.out/bench-peers.csv
	@awk -f .ci/peers.awk .out/bench-peers.csv

smoke: ## run each benchmark once, and the demos in memory
	go test -run '^$$' -bench . -benchtime 1x -timeout 10m ./facade ./facade/notification
	cd bench && go test -run '^$$' -bench . -benchtime 1x -timeout 10m .
	APIVIDEO_API_KEY= go run ./examples/quickstart >/dev/null
	APIVIDEO_API_KEY= go run ./examples/receiver >/dev/null
	APIVIDEO_API_KEY= go run ./examples/deploy -apply examples/deploy/webhooks.json >/dev/null

fuzz: ## run every fuzz test for FUZZTIME
	@FUZZTIME=$(FUZZTIME) .ci/fuzz

tidy: $(GOLANGCI) ## tidy each go.mod and format the Go code
	@for module in $(MODULES); do (cd $$module && go mod tidy) || exit 1; done
	@for module in $(MODULES); do (cd $$module && $(CURDIR)/$(GOLANGCI) fmt --config $(CURDIR)/.golangci.yml) || exit 1; done

ci: check-generated lint-spec lint check-deps vet cover test test-deduplicator test-ingest test-recipes test-nginx smoke ## run every check but vuln

$(GOLANGCI):
	GOBIN=$(CURDIR)/$(GOLANGCI_DIR) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

$(REDOCLY): api/package.json api/package-lock.json
	npm ci --prefix api --no-audit --no-fund
	@touch $(REDOCLY)
