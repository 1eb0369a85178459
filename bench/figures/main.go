// Command figures prints what Proviso and other engines cost on one workload, measured side by side in one run.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/proviso-dev/proviso/bench"
)

func main() {
	if err := bench.Figures(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}
