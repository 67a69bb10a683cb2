# One build flavour for everything, so that caches serve: no cgo.
export CGO_ENABLED = 0
GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.7.0
FUZZTIME ?= 30s
ASN1 ?= ../shared/asn1/36413-h30.asn
export ASN1

.DEFAULT_GOAL := help
.PHONY: help run build test lint generate bench bench-datapath bench-sip fuzz interop race

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

run: build ## everything in one process, in ./var, with a virtual tower and phone
	@test -f var/campanile.toml || ./bin/campanile init --home var
	@exec ./bin/campanile up --home var

build: ## bin/campanile, static
	$(GO) build -ldflags '-s -w' -o bin/campanile ./cmd/campanile

test: lint ## lint and all tests
	$(GO) test -timeout 20m ./...

lint: ## gofmt, vet, staticcheck
	@files=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$files" || { echo "gofmt these:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

generate: ## write generated code again (S1AP needs 3GPP's ASN.1: make generate ASN1=path)
	$(GO) generate ./3gpp/... ./wire/... ./hss-chain/...
	@command -v clang-14 >/dev/null || { echo "clang-14 is not installed: the packet programs of gateway/datapath/xdp stay as they are"; exit 0; }; $(GO) generate ./gateway/datapath/xdp
	CONFORMANCE=update $(GO) test -count=1 -run TestConformance ./3gpp/... ./mme

bench: ## benchmarks, each beside a named alternative where there is one
	$(GO) test -run '^$$' -bench . -benchmem ./3gpp/... ./wire/... ./internal/... ./mme/... ./gateway/... ./enb-agent/... ./billing/... ./decode/... ./sip/... ./hss-chain/...

bench-datapath: ## what a packet costs in each data path, on veth in namespaces of its own (needs root)
	BENCH_DATAPATH=1 $(GO) test -count=1 -v -timeout 30m -run 'TestBench' ./gateway/datapath/xdp

bench-sip: ## the SIP gateway beside Kamailio and sipgo, sipp on a core of its own (what is not installed is left out)
	BENCH_SIP=1 $(GO) test -count=1 -v -timeout 60m -run TestLoad ./sip/load

# Under load Go's fuzzer sometimes misses its own deadline and fails for that;
# an input that really fails is kept in testdata and fails again at once.
# Where coverage depends on timing, minimising inputs would eat the whole run.
fuzz: ## every fuzz target, FUZZTIME each
	@bad=; for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
			echo "== $$p $$f"; run="$(GO) test -run ^$$ -fuzz ^$$f$$ -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$p"; \
			$$run || $$run || bad="$$bad $$p.$$f"; \
		done; \
	done; test -z "$$bad" || { echo "failed:$$bad"; exit 1; }

race: ## race detector on what does not import the chain (needs cgo)
	CGO_ENABLED=1 $(GO) test -race ./3gpp/... ./wire/... ./internal/... ./mme/... ./gateway/... ./enb-agent/... ./billing/... ./sdr/... ./decode/... ./sip/... ./hss-chain/hss ./hss-chain/ledger

interop: ## tests against strangers: kernel SCTP, usrsctp, tshark, Chromium, captures (fail when missing); docs/interop.md
	CI=true INTEROP=1 $(GO) test -count=1 -run 'Stranger|Tshark|Capture|SrsRAN|OpenAirInterface|TestPage|TestConsole|TestBrokenThings' $$($(GO) list ./... | grep -v '/internal/sctp$$')
	CI=true INTEROP=1 $(GO) test -count=1 -timeout 30m -run 'Tshark|Capture|TestInterop' ./internal/sctp
