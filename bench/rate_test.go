package bench

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"
)

var perSecond = flag.Int("rate", 0, "requests a second that TestGatewayRate sends; 0 skips it")

// Latencies at a fixed rate, straight, through a bare reverse proxy and through the gateway, in turns: go test -run GatewayRate -v -args -rate 2000. It takes 52 seconds.
//
// What stands before the upstream has a process of its own, as in use, so that its garbage collection and its scheduler are not shared with those who ask; upstream and clients are in this one. All share the cores of the machine: gateway.clients_cores says how many those take that a
// user's machine would have elsewhere, gateway.cpu_us what one request costs in the process between. A request counts from the moment at which it was due (no coordinated omission), so the lateness of sending, gateway.late, is in every latency.
func TestGatewayRate(t *testing.T) {
	if *perSecond == 0 {
		t.Skip("skipped: give -args -rate 2000")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // of the clients and the upstream, whose pauses are nobody's latency
	d := OpenUpstream()
	defer d.Close()
	between := map[string]*process{}
	for _, name := range doorNames {
		p := startDoor(t, name, d.up.URL)
		between[name] = p
		d.all = append(d.all, &door{name: name, url: p.url})
	}
	const rounds, last = 3, 4 * time.Second
	all, cpu := map[string][]*latencies{}, map[string][]float64{}
	for round := range rounds + 1 {
		for k := range d.all {
			to := d.all[(round+k)%len(d.all)]
			if round == 0 { // warms up
				d.rate(to, *perSecond, time.Second)
				continue
			}
			before, begin := ownTime(t), time.Now()
			all[to.name] = append(all[to.name], d.rate(to, *perSecond, last))
			cpu[to.name] = append(cpu[to.name], (ownTime(t)-before).Seconds()/time.Since(begin).Seconds())
		}
		if load, err := os.ReadFile("/proc/loadavg"); err == nil {
			t.Logf("round %d, load of the machine %s", round, strings.TrimSpace(string(load)))
		}
	}
	for _, to := range d.all {
		var p50, p99, late []float64
		sent, failed := 0, 0
		for _, l := range all[to.name] {
			p50, p99, late = append(p50, quantile(l.took, 0.5).Seconds()*1000), append(p99, quantile(l.took, 0.99).Seconds()*1000), append(late, quantile(l.late, 0.99).Seconds()*1000)
			sent, failed = sent+len(l.took)+l.failed, failed+l.failed
			if l.why != nil {
				t.Logf("%s: %v", to.name, l.why)
			}
		}
		say := func(name string, value float64) {
			fmt.Printf("figure: gateway.%s_at_%d_%s = %.2f (n=%d)\n", name, *perSecond, to.name, value, sent)
		}
		say("p50_ms", median(p50))
		say("p99_ms", median(p99))
		say("late_p99_ms", median(late))
		say("failed", float64(failed))
		say("clients_cores", median(cpu[to.name]))
		if p := between[to.name]; p != nil {
			say("cpu_us", p.end(t).Seconds()*1e6/(float64(sent)+float64(*perSecond))) // the first second warmed up
		}
	}
}

// ownTime is the processor time that this process took so far.
func ownTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// process is one that stands between.
type process struct {
	url   string
	start time.Duration // processor time until it listened
	cmd   *exec.Cmd
	in    io.WriteCloser // closed, it ends
}

// end ends the process and returns the processor time that it took since it listened.
func (p *process) end(t *testing.T) time.Duration {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime() - p.start
}

// doorVariable tells a process of this test that it is to stand between: name of the way, the upstream's URL, a folder.
const doorVariable = "PROVISO_BENCH_DOOR"

// startDoor starts this program again, as one that stands between.
func startDoor(t *testing.T, name, upstream string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestStandBetween$")}
	p.cmd.Env = append(os.Environ(), doorVariable+"="+strings.Join([]string{name, upstream, t.TempDir()}, " "))
	if os.Getenv("GOGC") == "" {
		p.cmd.Env = append(p.cmd.Env, "GOGC=400") // as serve has it, and for the proxy as well
	}
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.in.Close(); p.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("%s did not say where it listens: %v", name, err)
	}
	if _, err := fmt.Sscan(line, &p.url, &p.start); err != nil {
		t.Fatalf("%s said %q: %v", name, line, err)
	}
	return p
}

// TestStandBetween is the process that startDoor starts, and nothing in others.
func TestStandBetween(t *testing.T) {
	args := strings.Fields(os.Getenv(doorVariable))
	if len(args) != 3 {
		t.Skip("skipped: a part of TestGatewayRate")
	}
	upstream, err := url.Parse(args[1])
	if err != nil {
		t.Fatal(err)
	}
	h, end, err := handler(args[0], upstream, args[2])
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("http://%s %d\n", l.Addr(), ownTime(t))
	srv := &http.Server{Handler: h}
	go srv.Serve(l)
	io.Copy(io.Discard, os.Stdin)
	srv.Close()
}
