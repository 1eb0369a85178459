package conformance

import "flag"

// long turns the heavy parts of the suites on: go test ./conformance -v -args -long.
var long = flag.Bool("long", false, "run the heavy parts of the suites as well")
