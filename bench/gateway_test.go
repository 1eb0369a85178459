package bench

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"net/url"
	"runtime"
	"testing"
	"time"
)

var soak = flag.Duration("soak", 0, "how long TestGatewaySoak runs; 0 skips it")

// The figures of the gateway alone: go test -run GatewayFigures -v.
func TestGatewayFigures(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: takes a minute; run without -short")
	}
	figures, err := gatewayFigures(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		fmt.Printf("figure: %s = %.2f (n=%d)\n", f.name, f.value, f.n)
	}
}

// Memory stays flat under a steady load: go test -run GatewaySoak -v -timeout 20m -args -soak 10m.
func TestGatewaySoak(t *testing.T) {
	if *soak == 0 {
		t.Skip("skipped: give -args -soak 10m")
	}
	d := OpenUpstream()
	defer d.Close()
	target, err := url.Parse(d.up.URL)
	if err != nil {
		t.Fatal(err)
	}
	h, stop, err := handler("soak", target, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	defer func() { srv.Close(); stop() }()
	to := &door{name: "soak", url: srv.URL}
	live := func() float64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / (1 << 20)
	}
	end := time.Now().Add(*soak)
	var early, late float64
	requests := 0
	for n := 0; time.Now().Before(end); n++ {
		for _, stream := range []bool{false, true} {
			if _, err := d.run(to, gatewayLoad{"soak", 16, "m", stream, 400}); err != nil {
				t.Fatal(err)
			}
			requests += 400
		}
		if left := time.Until(end); early == 0 && left < *soak*2/3 && requests > 20_000 {
			early = live()
		}
	}
	late = live()
	fmt.Printf("figure: gateway.soak_heap_growth_mb = %.2f (n=%d)\n", late-early, requests)
	fmt.Printf("figure: gateway.soak_heap_mb = %.2f (n=%d)\n", late, requests)
	fmt.Printf("figure: gateway.soak_goroutines = %d (n=%d)\n", runtime.NumGoroutine(), requests)
	if early == 0 {
		t.Errorf("%d requests are too few to tell; give it more time or less other work", requests)
	}
	if late > 1.25*early+4 {
		t.Errorf("the heap grew from %.1f to %.1f MB", early, late)
	}
}

// What one request takes through every door, client and upstream included; allocations do not depend on what else the machine does: go test -run xx -bench Gateway -benchtime 500x.
func BenchmarkGateway(b *testing.B) {
	d, err := OpenDoors(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for _, l := range []gatewayLoad{{name: "plain", connections: 1, model: "m"}, {name: "stream", connections: 1, model: "m", stream: true}, {name: "effect", connections: 1, model: "mail"}} {
		for _, to := range d.all {
			b.Run(l.name+"/"+to.name, func(b *testing.B) {
				b.ReportAllocs()
				l := l
				l.requests = b.N
				if _, err := d.run(to, l); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
