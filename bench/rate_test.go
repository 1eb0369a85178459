package bench

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var perSecond = flag.Int("rate", 0, "requests a second that TestGatewayRate sends; 0 skips it")

// Latencies at a fixed rate, straight, through a bare reverse proxy and through the gateway, in turns: go test -run GatewayRate -v -args -rate 2000.
func TestGatewayRate(t *testing.T) {
	if *perSecond == 0 {
		t.Skip("skipped: give -args -rate 2000")
	}
	d, err := OpenDoors(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const rounds, last = 3, 5 * time.Second
	all := map[string][]*latencies{}
	for round := range rounds + 1 {
		for k := range d.all {
			to := d.all[(round+k)%len(d.all)]
			if round == 0 { // warms up
				d.rate(to, *perSecond, time.Second)
				continue
			}
			all[to.name] = append(all[to.name], d.rate(to, *perSecond, last))
		}
		if load, err := os.ReadFile("/proc/loadavg"); err == nil {
			t.Logf("round %d, load of the machine %s", round, strings.TrimSpace(string(load)))
		}
	}
	for _, to := range d.all {
		var p50, p99 []float64
		sent, failed := 0, 0
		for _, l := range all[to.name] {
			p50, p99 = append(p50, l.quantile(0.5).Seconds()*1000), append(p99, l.quantile(0.99).Seconds()*1000)
			sent, failed = sent+len(l.took)+l.failed, failed+l.failed
			if l.why != nil {
				t.Logf("%s: %v", to.name, l.why)
			}
		}
		fmt.Printf("figure: gateway.p50_ms_at_%d_%s = %.2f (n=%d)\n", *perSecond, to.name, median(p50), sent)
		fmt.Printf("figure: gateway.p99_ms_at_%d_%s = %.2f (n=%d)\n", *perSecond, to.name, median(p99), sent)
		fmt.Printf("figure: gateway.failed_at_%d_%s = %d (n=%d)\n", *perSecond, to.name, failed, sent)
	}
}
