package bench

import (
	"context"
	"fmt"
	"testing"
)

// The figures of the guard alone, and those of origins: go test -run 'GuardFigures|OriginFigures' -v.
func TestGuardFigures(t *testing.T)  { printed(t, guardFigures) }
func TestOriginFigures(t *testing.T) { printed(t, originFigures) }
func TestMemoryFigures(t *testing.T) { printed(t, memoryFigures) }

func printed(t *testing.T, measure func(context.Context) ([]figure, error)) {
	if testing.Short() {
		t.Skip("skipped: takes some ten seconds; run without -short")
	}
	figures, err := measure(context.Background())
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
