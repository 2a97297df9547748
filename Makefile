# sealift: "make help" lists what can be made.
#
# Works on Debian 12 with only Go, make and git, as root or with sudo. What
# else a target needs it installs, and says so: Debian packages through
# .ci/packages, Go programs of fixed versions into .tools/bin.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# sudo often drops the folder of Go from PATH.
GO ?= $(firstword $(shell command -v go) $(wildcard /usr/local/go/bin/go /usr/lib/go/bin/go))
export PATH := $(CURDIR)/.tools/bin:$(if $(GO),$(dir $(GO)):)$(PATH)

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# One way to compile, for programs, tests and tools: nothing is compiled twice, and
# what is tested is what ships.
export GOFLAGS += -trimpath -buildvcs=false
export CGO_ENABLED := 0
LDFLAGS := -s -w -X github.com/sealift/sealift/internal/buildinfo.version=$(VERSION)
BUILD := $(GO) build -ldflags "$(LDFLAGS)"
FUZZTIME ?= 30s
PAGES ?= InABrowser

##@ Use

.PHONY: demo
demo: build ## the whole journey of a bundle on this machine, up to the console: about a minute
	$(GO) run ./test/demo -sealift bin/sealift

.PHONY: build
build: needs-go ## bin/sealift and bin/systemconsole
	$(BUILD) -o bin/ ./cmd/sealift ./cmd/systemconsole

.PHONY: assets
assets: ## what the console takes from npm, into systemconsole/web/static
	systemconsole/web/assets.sh

.PHONY: screenshots
screenshots: needs-go ## pictures of the console's pages, into screenshots/
	SEALIFT_SCREENSHOTS=$(CURDIR)/screenshots $(GO) test ./systemconsole -run '$(PAGES)' -count=1 -timeout 40m

.PHONY: build-pkcs11
build-pkcs11: needs-go ## bin/sealift-pkcs11, which signs with PKCS#11 tokens and needs libc
	.ci/packages gcc libc6-dev
	CGO_ENABLED=1 $(BUILD) -tags pkcs11key -o bin/sealift-pkcs11 ./cmd/sealift

##@ Check

.PHONY: test
test: needs-go build tools-test ## every test that needs no Docker
	.ci/packages docker-registry skopeo containerd softhsm2 opensc gcc libc6-dev qemu-utils fdisk mtools iproute2 iptables chromium
	systemconsole/web/assets.sh
	$(GO) vet ./...
	$(GO) test -timeout 20m ./...
	CGO_ENABLED=1 $(GO) test -tags pkcs11key ./bundles/sign/...

.PHONY: lint
lint: needs-go .tools/bin/golangci-lint ## golangci-lint
	golangci-lint run ./...

.PHONY: verify
verify: needs-go ## modules, formatting and generated files are as they should be
	$(GO) mod verify
	$(GO) mod tidy -diff
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "gofmt is needed for:"; echo "$$unformatted"; exit 1; fi
	$(MAKE) generate
	git diff --exit-code --stat

.PHONY: fuzz
fuzz: needs-go ## each fuzz test for FUZZTIME (30s)
	@grep -rl --include='*_test.go' '^func Fuzz' . | xargs -rn1 dirname | sort -u | while read -r dir; do \
		for name in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go | cut -c6-); do \
			echo "$(GO) test -run ^$$ -fuzz ^$$name$$ -fuzztime $(FUZZTIME) $$dir"; \
			$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$dir"; \
		done; \
	done

.PHONY: bench
bench: needs-go build build-pkcs11 tools-bench ## times beside other tools, written to docs/benchmarks.md
	.ci/packages skopeo softhsm2 opensc
	$(GO) run ./test/bench -sealift bin/sealift -o docs/benchmarks.md $(BENCHFLAGS)

.PHONY: bench-console
bench-console: needs-go build ## pages, memory and start of the console with both stores, written to docs/benchmarks.md
	$(GO) test -count=1 -timeout 30m -v ./test/bench/console -run TestFigures -programs $(CURDIR)/bin -out $(CURDIR)/docs/benchmarks.md $(BENCHFLAGS)

.PHONY: discovery
discovery: needs-go ## precision and recall of discovery, as in docs/discovery.md
	$(GO) run ./test/discovery $(DISCOVERYFLAGS)
##@ The lab: a dark site on this machine (docs/lab.md)

.PHONY: lab-build
lab-build: needs-go ## Kubernetes and all that the lab needs, from source: an hour at most, then kept
	.ci/packages mmdebstrap iptables qemu-utils $(if $(filter bootable,$(LAB_DISK)),fdisk mtools)
	$(GO) run ./test/lab build

.PHONY: lab-ready
lab-ready: needs-go ## says whether the lab can be brought up
	@$(GO) run ./test/lab ready

.PHONY: lab-up
lab-up: needs-go ## an engine if none runs, and a cluster
	@$(GO) run ./test/lab up

.PHONY: e2e
e2e: needs-go build .tools/bin/helm ## a real Kubernetes in the lab, filled from bundles, and machines of its vCenter: about 11 minutes on two cores, E2EFLAGS=-long more
	.ci/packages iptables iproute2 nftables chromium $(if $(filter bootable,$(LAB_DISK)),qemu-system-x86 ovmf)
	$(GO) run ./test/lab ready || $(MAKE) lab-build
	trap '$(GO) run ./test/lab down' EXIT; \
	$(GO) run ./test/e2e/run $(E2EFLAGS)

.PHONY: lab-site
lab-site: STAND = -site
lab-site: lab-stand ## a dark site with a vCenter, a registry, bundles and site.yaml, and a shell on its jump host

.PHONY: lab-install
lab-install: STAND = -site -install
lab-install: lab-stand ## the same with the enterprise cluster installed: prints the console's address

# STANDFLAGS: -control-planes 3, -bootstrap kind.
.PHONY: lab-stand
lab-stand: needs-go build
	@.ci/packages iptables iproute2 nftables
	@$(GO) run ./test/lab ready || $(MAKE) lab-build
	@echo compiling what makes the site; $(GO) test -c -tags e2e -ldflags '-s -w' -o .cache/e2e.test ./test/e2e
	@trap '$(GO) run ./test/lab down' EXIT; \
	(cd test/e2e && $(CURDIR)/.cache/e2e.test -test.run '^TestStand$$' -test.timeout 0 $(STAND) $(STANDFLAGS))

.PHONY: lab-down
lab-down: needs-go ## removes all that lab-up made
	@$(GO) run ./test/lab down

##@ Work on it

.PHONY: generate
generate: needs-go ## what go:generate makes
	$(GO) generate ./...

# Each folder below test/tools is a module that fixes the version of one tool,
# so that a tool's dependencies never meet those of the suite.
TOOLS := $(notdir $(patsubst %/go.mod,%,$(wildcard test/tools/*/go.mod)))

.PHONY: tools tools-test tools-bench
tools: $(TOOLS:%=.tools/bin/%) ## the Go programs that tests, lint and bench use, into .tools/bin
tools-test: $(filter-out .tools/bin/golangci-lint,$(TOOLS:%=.tools/bin/%))
tools-bench: $(filter .tools/bin/crane .tools/bin/regctl .tools/bin/oras,$(TOOLS:%=.tools/bin/%))

.tools/bin/%: test/tools/%/go.mod | needs-go
	@echo "Building $* into .tools/bin (once for this version; a few minutes on a cold machine)"
	mkdir -p .tools/bin
	cd test/tools/$* && GOBIN=$(CURDIR)/.tools/bin $(GO) install -ldflags '-s -w' tool
	touch $@

.PHONY: clean
clean: ## what make built, except for Go's own caches
	[ ! -e .cache/lab ] || $(MAKE) lab-down
	rm -rf bin .tools .cache

.PHONY: needs-go
needs-go:
	@if [ -z "$(GO)" ]; then \
		echo "Go is not here: neither on PATH nor in /usr/local/go." >&2; \
		echo "  remedy: unpack Go $$(sed -n 's/^go //p' go.mod) or newer from https://go.dev/dl/ to /usr/local/go" >&2; \
		exit 1; \
	fi

.PHONY: help
help: ## this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
