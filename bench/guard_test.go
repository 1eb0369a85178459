package bench

import (
	"context"
	"fmt"
	"testing"
)

// The figures of the guard alone: go test -run GuardFigures -v.
func TestGuardFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: takes some ten seconds; run without -short")
	}
	figures, err := guardFigures(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		fmt.Printf("figure: %s = %.2f (n=%d)\n", f.name, f.value, f.n)
		if f.value <= 0 {
			t.Errorf("%s is %v", f.name, f.value)
		}
	}
}
