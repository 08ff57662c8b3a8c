# Everything here needs Go, a C compiler and make; the other tools are pinned
# in tools/go.mod and built from source the first time they are used.

GO       ?= go
PKG      ?= ./...
FUZZ     ?= Fuzz
FUZZTIME ?= 10s
BENCH    ?= .
COUNT    ?= 6
ROWTIME  ?= 400ms
BASE     ?=
NOTE     ?=
DIR      ?=
SEEDS    ?= 100000
FIRST    ?= 1
KILLS    ?= 10000
MESSAGES ?= 10000
TIMEOUT  ?= 30m
SCENARIO ?= one-way
DURATION ?= 10s
ARGS     ?=

TOOL     := $(GO) tool -modfile=$(CURDIR)/tools/go.mod
CORE     := ./x3dh ./ratchet
CORE_MIN := 95
OUT      := $(CURDIR)/bin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Show the targets and what they do.
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  variables: PKG=$(PKG) FUZZ=$(FUZZ) FUZZTIME=$(FUZZTIME) BENCH=$(BENCH) COUNT=$(COUNT) BASE=<older bench file>"

.PHONY: build
build: ## Build the commands into bin/.
	$(GO) build -trimpath -o $(OUT)/ ./cmd/...

# Two folders, and two caches: from one cache both would be linked of the same objects.
# The files are those of the index, as they are now.
.PHONY: reproducible
reproducible: ## Build the command twice, in two folders with two caches: the files have to be the same.
	@set -eu; at=$$(mktemp -d); trap 'rm -rf "$$at"' EXIT; \
	for turn in first second; do \
		mkdir "$$at/$$turn"; \
		git ls-files -z | tar --null -T - -cf - | tar -C "$$at/$$turn" -xf -; \
	done; \
	(cd "$$at/first" && $(GO) build -trimpath -buildvcs=false -o "$$at/1" ./cmd/rookery); \
	(cd "$$at/second" && GOCACHE="$$at/cache" $(GO) build -trimpath -buildvcs=false -o "$$at/2" ./cmd/rookery); \
	first=$$(sha256sum <"$$at/1"); second=$$(sha256sum <"$$at/2"); \
	printf '%s first\n%s second\n' "$${first%% *}" "$${second%% *}"; \
	if [ "$$first" != "$$second" ]; then echo "the two builds differ" >&2; exit 1; fi

# TIMEOUT ends a package that hangs: two cores that are busy with something else can
# take more than the ten minutes that go test gives.
#
# CGO_ENABLED is set so that a missing C compiler is an error here and does not
# quietly test the other curve.
.PHONY: test
test: ## Vet and run all tests (with cgo); the simulated world comes last, alone.
	CGO_ENABLED=1 $(GO) vet $(PKG)
	@set -eu; all=$$($(GO) list $(PKG)); \
	sim=$$(printf '%s\n' "$$all" | grep '/internal/sim$$' || true); \
	rest=$$(printf '%s\n' "$$all" | grep -v '/internal/sim$$' || true); \
	if [ -n "$$rest" ]; then CGO_ENABLED=1 $(GO) test -timeout $(TIMEOUT) $$rest; fi; \
	if [ -n "$$sim" ]; then CGO_ENABLED=1 $(GO) test -timeout $(TIMEOUT) $$sim; fi

# All whose tests link the curve, the only package that is built otherwise
# without C: what "go list" writes for each is its test with all it depends on.
# Of those that use the engine the engine's own tests are enough: the curve is
# behind it.
.PHONY: test-nocgo
test-nocgo: ## Run all tests that the curve has to do with as a build without C has them.
	@set -eu; all=$$(CGO_ENABLED=0 $(GO) list -test -f '{{.ImportPath}} {{join .Deps " "}} ' $(PKG)); \
	curve=$$(printf '%s\n' "$$all" | awk -v engine="$$($(GO) list -m)" '$$1 ~ /\.test$$/ && / [^ ]*\/internal\/curve / && ($$1 == engine ".test" || !index($$0, " " engine " ")) { sub(/\.test$$/, "", $$1); print $$1 }'); \
	if [ -n "$$curve" ]; then CGO_ENABLED=0 $(GO) test -timeout $(TIMEOUT) $$curve; else echo "nothing of $(PKG) links the curve"; fi

# What runs in one goroutine cannot race, and takes ten times as long. A test of
# internal/lint holds that these folders start none.
SEQUENTIAL := ratchet x3dh proto/wire proto/internal/fields internal/curve internal/consttime internal/secret internal/aesctr internal/hmacsha256 internal/sha256block

# What looks for keys in the memory of a process is about normal builds; with the race
# detector there is ten times as much of it.
MEMORY := internal/remnants

.PHONY: race
race: ## Run all tests in which things happen at once under the race detector.
	@set -eu; all=$$($(GO) list $(PKG)); \
	raced=$$(printf '%s\n' "$$all" | grep -Ev '/($(subst $(eval ) ,|,$(SEQUENTIAL) $(MEMORY)))$$' || true); \
	if [ -n "$$raced" ]; then CGO_ENABLED=1 $(GO) test -race -timeout $(TIMEOUT) $$raced; else echo "nothing of $(PKG) happens at once"; fi

.PHONY: lint
lint: ## Run golangci-lint.
	$(TOOL) golangci-lint run

# One after the other: a fuzzer uses all cores, and a slice of time is only
# worth something when it is had alone. Making inputs small is bounded, or it
# takes most of a short slice.
#
# Before Go 1.27 a fuzzer can report the end of its own time as a failure
# (go.dev/issue/75804): it names no input. That run counts for nothing and is
# done again, once; a failing input is never run away from.
.PHONY: fuzz
fuzz: ## Run every fuzz target (FUZZ=regexp) for FUZZTIME each.
	@set -eu; \
	listing=$$($(GO) test -list '^($(FUZZ))' $(PKG)); \
	targets=$$(printf '%s\n' "$$listing" | awk '/^Fuzz/ { name[++n] = $$1 } $$1 == "ok" { for (i = 1; i <= n; i++) print $$2 " " name[i]; n = 0 }'); \
	if [ -z "$$targets" ]; then echo "no fuzz target matches $(FUZZ)" >&2; exit 1; fi; \
	seen=$$(mktemp -d); trap 'rm -rf "$$seen"' EXIT; \
	slice() { \
		echo "== $$1 $$2 ($(FUZZTIME))"; \
		{ $(GO) test -run '^$$' -fuzz "^$$2\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1s "$$1" </dev/null 2>&1 \
			&& echo 0 >"$$seen/status" || echo 1 >"$$seen/status"; } | tee "$$seen/output"; \
		return "$$(cat "$$seen/status")"; \
	}; \
	only_out_of_time() { \
		grep -qx '    context deadline exceeded' "$$seen/output" && ! grep -q 'Failing input' "$$seen/output"; \
	}; \
	printf '%s\n' "$$targets" | while read -r package name; do \
		slice "$$package" "$$name" || { only_out_of_time && slice "$$package" "$$name"; } \
			|| { echo "repeat: make fuzz PKG=$$package FUZZ=$$name FUZZTIME=$(FUZZTIME)" >&2; exit 1; }; \
	done

.PHONY: sim
sim: ## Run SEEDS random schedules of the simulated world, from seed FIRST on.
	$(GO) test ./internal/sim -count=1 -v -timeout 48h -run '^TestRandomSchedules$$' -seeds $(SEEDS) -first $(FIRST)

# Built first, since "go run" would turn every exit status into 1.
.PHONY: torture
torture: ## Kill two talking engines KILLS times, in rounds of seed FIRST and on, and check their promises.
	$(GO) build -trimpath -o $(OUT)/torture ./cmd/torture
	$(OUT)/torture --kills=$(KILLS) --first=$(FIRST)

# What keeps the messages, the NATS server or the Waku store, is killed as often.
.PHONY: networks
networks: KILLS = 20
networks: ## Exchange MESSAGES between two processes over NATS, then over Waku, each killed KILLS times (20).
	$(GO) build -trimpath -o $(OUT)/torture ./cmd/torture
	$(OUT)/torture exchange --network=nats --messages=$(MESSAGES) --kills=$(KILLS) --restarts=$(KILLS) --first=$(FIRST)
	$(OUT)/torture exchange --network=waku --messages=$(MESSAGES) --kills=$(KILLS) --restarts=$(KILLS) --first=$(FIRST)

# Each message that is lost fails it. ARGS='--rate 500 --payload 1024' and so on.
.PHONY: load
load: ## Run a load scenario (SCENARIO, DURATION, ARGS); the report is bin/load.html.
	$(GO) build -trimpath -o $(OUT)/rookery ./cmd/rookery
	$(OUT)/rookery load $(SCENARIO) --duration $(DURATION) --fail-if 'lost>0' --html $(OUT)/load.html --json $(OUT)/load.json $(ARGS)

.PHONY: crash
crash: ## Crash the engine, and fail its disk, at every operation of every scenario.
	$(GO) test ./internal/faults -count=1 -v -timeout 2h -crash.every 1

# Go's runtime/secret, an experiment, does not go together with C.
.PHONY: remnants
remnants: ## Crash processes and count what is left of used keys in their core files, without and with erasing.
	$(GO) test ./internal/remnants -count=1 -v -timeout $(TIMEOUT)
	CGO_ENABLED=0 GOEXPERIMENT=runtimesecret $(GO) test ./internal/remnants -count=1 -v -timeout $(TIMEOUT)

.PHONY: vectors
vectors: ## Replay the recordings of deployed clients.
	$(GO) run ./cmd/rookery replay testdata/recordings

.PHONY: bench
bench: ## Run benchmarks (BENCH=regexp) COUNT times and summarise; BASE=file compares.
	@mkdir -p $(OUT)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(PKG) >$(OUT)/bench.txt || { cat $(OUT)/bench.txt; exit 1; }
	$(TOOL) benchstat $(BASE) $(OUT)/bench.txt

# Each way of an operation takes a turn in each of COUNT rounds. CGO_ENABLED=0
# measures the other curve. ROWTIME is for one turn.
.PHONY: bench-core
bench-core: COUNT = 7
bench-core: ## Measure ratchet and X3DH beside the deployed reference and their primitives (BENCH, COUNT).
	$(GO) test ./internal/bench/core -count=1 -timeout 1h -run '^$$' -bench 'BesideReference/$(BENCH)' -benchtime 1x -rounds $(COUNT) -row-time $(ROWTIME)

.PHONY: bench-store
bench-store: ## Measure durable sending and receiving beside what it is compared with.
	$(GO) run ./cmd/rookery bench --only durable

# Takes about ten minutes; nothing else should run meanwhile, or NOTE says so. DIR is
# where the stores are made.
.PHONY: performance
performance: ## Measure everything and make docs/performance.md of it (NOTE, DIR).
	$(GO) run ./cmd/rookery bench --note='$(NOTE)' $(if $(DIR),--dir='$(DIR)') --json=docs/performance.json --markdown=docs/performance.md

# In the package's folder, where "go test" shows each row when it is measured.
.PHONY: timing
timing: ## Time operations on secrets of two kinds each, a million samples: none may tell them apart.
	cd internal/consttime && $(GO) test -count=1 -timeout 1h -samples 1000000 -slow 50000 -seed $(FIRST)

.PHONY: cover
cover: ## Coverage of the core by its own tests; below 95 % fails.
	@set -eu; \
	result=$$($(GO) test -count=1 -cover $(CORE)) || { printf '%s\n' "$$result"; exit 1; }; \
	printf '%s\n' "$$result" | awk -v least=$(CORE_MIN) -v packages=$(words $(CORE)) ' \
		match($$0, /coverage: [0-9.]+%/) { \
			share = substr($$0, RSTART + 10, RLENGTH - 11) + 0; measured++; \
			verdict = share >= least ? "ok" : "TOO LOW"; if (share < least) failed = 1; \
			printf "%-44s %5.1f %%  %s\n", $$2, share, verdict } \
		END { if (measured != packages) { print "coverage of " measured + 0 " packages, expected " packages; failed = 1 } \
			exit failed }'

.PHONY: generate
generate: ## Generate Go code and the OpenAPI description from the .proto files.
	cd proto && $(TOOL) buf generate

.PHONY: verify
verify: verify-format verify-vet verify-rules verify-proto verify-generated verify-tidy verify-install lint ## All static checks: what a change has to pass.

.PHONY: verify-format
verify-format:
	@found=$$($(TOOL) gofumpt -l .) || exit 1; \
	if [ -n "$$found" ]; then printf 'not formatted (go tool -modfile=tools/go.mod gofumpt -w .):\n%s\n' "$$found" >&2; exit 1; fi

.PHONY: verify-vet
verify-vet:
	$(GO) vet ./...
	CGO_ENABLED=0 $(GO) vet ./...

.PHONY: verify-rules
verify-rules:
	$(GO) test -count=1 ./internal/lint

.PHONY: verify-proto
verify-proto:
	cd proto && $(TOOL) buf lint

.PHONY: verify-generated
verify-generated:
	@set -eu; fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	(cd proto && $(TOOL) buf generate -o "$$fresh"); \
	(cd proto && find . -name '*.pb.go' -o -name '*.connect.go' -o -name openapi.yaml | sort) >"$$fresh/here"; \
	(cd "$$fresh" && find . -name '*.pb.go' -o -name '*.connect.go' -o -name openapi.yaml | sort) >"$$fresh/made"; \
	cmp "$$fresh/here" "$$fresh/made" || { echo "other files than 'make generate' writes in proto/" >&2; exit 1; }; \
	while read -r name; do \
		cmp "proto/$$name" "$$fresh/$$name" || { echo "run 'make generate'" >&2; exit 1; }; \
	done <"$$fresh/made"

.PHONY: verify-tidy
verify-tidy:
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff

# As somebody installs the command who has nothing but Go, and runs it.
.PHONY: verify-install
verify-install:
	@set -eu; at=$$(mktemp -d); trap 'rm -rf "$$at"' EXIT; \
	GOBIN="$$at" $(GO) install ./cmd/rookery; \
	cd "$$at"; ./rookery version >version; grep -q '^curve ' version

# The vulnerability database is a service that is not always reachable; that
# is said and is no failure. A finding is (govulncheck leaves with 3).
.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls.
	@result=$$($(TOOL) govulncheck ./... 2>&1) && status=0 || status=$$?; \
	printf '%s\n' "$$result"; \
	if [ $$status -eq 0 ]; then exit 0; fi; \
	if printf '%s\n' "$$result" | grep -q 'fetching vulnerabilities'; then \
		echo "vulncheck: skipped, the database is not reachable"; exit 0; fi; \
	exit $$status
