package tinker

import (
	"fmt"
	"sync"
	"testing"
)

// TestIndex is the contract of an Index. open returns one; called again, one over the same memory, as after a restart, where the index has any beyond the process, else the same.
func TestIndex(t *testing.T, open func(testing.TB) Index) {
	x := open(t)
	if p, ok := x.Get("tinker://a/weights/1"); ok {
		t.Errorf("an empty index has %q", p)
	}
	for _, put := range [][2]string{{"tinker://a/weights/1", "one"}, {"tinker://a/weights/2", "two"}, {"tinker://a/weights/1", "three"}} {
		if err := x.Put(put[0], put[1]); err != nil {
			t.Fatal(err)
		}
	}
	again := open(t)
	for public, want := range map[string]string{"tinker://a/weights/1": "three", "tinker://a/weights/2": "two"} {
		if got, ok := again.Get(public); got != want || !ok {
			t.Errorf("%s is %q, %v; want %q", public, got, ok, want)
		}
	}
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			public := fmt.Sprint("tinker://b/weights/", k)
			if err := again.Put(public, public); err != nil {
				t.Error(err)
			}
			if got, ok := again.Get(public); got != public || !ok {
				t.Errorf("%s is %q, %v", public, got, ok)
			}
		})
	}
	wg.Wait()
}
