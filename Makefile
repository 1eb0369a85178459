# Nothing here is needed to use Proviso: `go run ./cmd/proviso try` and `go test ./...` do without.
.DEFAULT_GOAL := help
.PHONY: help check test fuzz bench figures update

FUZZTIME ?= 10s
BENCH ?= .

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

check: ## format, vet, and the rules of the house
	@bad=$$(find . -name '*.go' -not -path '*/testdata/*' | xargs gofmt -l); test -z "$$bad" || { echo "run gofmt -w on:"; echo "$$bad"; exit 1; }
	go vet ./...
	go test -count=1 ./internal/house

test: ## every test
	go test ./...

fuzz: ## every fuzz target for FUZZTIME each (10s)
	@grep -roE --include='*_test.go' --exclude-dir=bench '^func Fuzz[A-Za-z0-9_]*' . | sort | sed 's/:func / /' | while read -r file target; do \
		echo "-- $$target ($$file)"; go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" || exit 1; done

bench: ## benchmarks against other engines, in a module of their own (BENCH=pattern)
	cd bench && go test -run '^$$' -bench '$(BENCH)' -benchmem

figures: ## every figure that tests and comparisons measure
	@go test -v -count=1 ./conformance/... | grep -oE '(figure: .*|skipped: needs .*|--- FAIL.*)'
	@cd bench && go run ./figures

update: ## rewrite golden files and archives with what the tests produce now
	go test $$(grep -rl --include='*_test.go' --exclude-dir=bench internal/testkit . | xargs -n1 dirname | sort -u) -update
