package gateway

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/proviso-dev/proviso"
)

// Upstreams that answer with something else: nothing of it reaches the caller as an answer.
func TestUpstreamFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		status int
	}{
		{"a page with status 200", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html>login SECRET</html>")
		}, 502},
		{"JSON of another kind", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"hello":"SECRET"}`)
		}, 502},
		{"JSON cut off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, `{"choices":[{"message":{"content":"SECRET`)
		}, 502},
		{"a redirect to another place", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "http://169.254.169.254/SECRET")
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, 502},
		{"a page of an error", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "SECRET stack", 500) }, 500},
		{"an error with an answer beside it", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(429)
			io.WriteString(w, `{"error":{"message":"x"},"choices":[{"message":{"tool_calls":["SECRET"]}}]}`)
		}, 429},
		{"a page of a timeout", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "<html>SECRET</html>", http.StatusRequestTimeout)
		}, 408},
		{"hangs up", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			door := newDoor(t, nil)
			door.up.answer = c.answer
			status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one")
			if status != c.status || strings.Contains(body, "SECRET") || !strings.Contains(body, `"error"`) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	t.Run("an error of its API", func(t *testing.T) {
		door := newDoor(t, nil)
		door.up.answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Retry-After", "7")
			w.Header().Set("X-Ratelimit-Remaining", "0")
			w.WriteHeader(429)
			io.WriteString(w, `{"error":{"message":"slow down","type":"rate_limit"}}`)
		}
		status, h, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one")
		if status != 429 || h.Get("Retry-After") != "7" || h.Get("X-Ratelimit-Remaining") != "0" || !strings.Contains(body, "slow down") || door.up.count() != 1 {
			t.Errorf("%d %v %s", status, h, body)
		}
	})
	t.Run("does not answer", func(t *testing.T) {
		door := newDoor(t, func(c *Config) { c.Limits.FirstByte = 50 * time.Millisecond })
		door.up.answer = func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		if status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one"); status != 504 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("stops in the middle of a stream", func(t *testing.T) {
		door := newDoor(t, func(c *Config) { c.Limits.Idle = 50 * time.Millisecond })
		door.up.answer = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		if _, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, true), HeaderSession, "one"); !strings.Contains(body, CodeCut) {
			t.Errorf("%s", body)
		}
	})
	t.Run("an address that is not public", func(t *testing.T) {
		door := newDoor(t, func(c *Config) { c.Upstreams[0].Private = false })
		if status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one"); status != 502 || !strings.Contains(body, "not public") || door.up.count() != 0 {
			t.Errorf("%d %s", status, body)
		}
	})
}

// Nothing that a client writes changes where its request goes.
func TestClientCannotChooseTheUpstream(t *testing.T) {
	other := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {})
	door := newDoor(t, nil)
	door.up.say(chatPlain(fine), "")
	body := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":"hi"}],"api_base":%q,"base_url":%q,"extra_body":{"api_base":%q}}`, other.URL, other.URL, other.URL)
	status, _, _ := door.post("/v1/chat/completions?api_base="+other.URL, body, "X-Forwarded-Host", other.URL, "Forwarded", "host="+other.URL, HeaderSession, "one")
	if status != 200 || other.count() != 0 || door.up.last() != body {
		t.Errorf("%d, the other was asked %d times, %s", status, other.count(), door.up.last())
	}
}

// An answer that is small on the wire and large when it is unpacked is not taken.
func TestCompressedAnswerThatIsTooLarge(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, `{"choices":[{"message":{"content":"`)
	z.Write(bytes.Repeat([]byte("x"), 8<<20))
	z.Close()
	door := newDoor(t, func(c *Config) { c.Limits.Answer = 1 << 20 })
	door.up.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	}
	if status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false)); status != 502 || len(body) > 1000 {
		t.Errorf("%d %.200s", status, body)
	}
}

// certified makes a certificate of its own for 127.0.0.1 that holds between two times, and what trusts it.
func certified(t *testing.T, from, to time.Time) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// trusting makes a door's client trust what a pool trusts, and nothing else.
func (d *door) trusting(pool *x509.CertPool) {
	d.gen.Load().terms.private.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
}

// A certificate that is accepted while it holds is refused when it has expired, before it holds, and where nobody vouches for it: nothing of the request reaches the upstream, and the caller is told why without the address.
func TestUpstreamCertificate(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		name     string
		from, to time.Time
		trusted  bool
		status   int
	}{
		{"holds", now.Add(-time.Hour), now.Add(time.Hour), true, 200},
		{"expired", now.Add(-2 * time.Hour), now.Add(-time.Hour), true, 502},
		{"not yet", now.Add(time.Hour), now.Add(2 * time.Hour), true, 502},
		{"of nobody", now.Add(-time.Hour), now.Add(time.Hour), false, 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			cert, pool := certified(t, c.from, c.to)
			if !c.trusted {
				pool = x509.NewCertPool()
			}
			var asked atomic.Int64
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Content-Type", "application/json")
				io.WriteString(w, chatPlain(fine))
			}))
			up.Config.ErrorLog = quiet
			up.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			up.StartTLS()
			defer up.Close()
			door := newDoor(t, func(c *Config) { c.Upstreams[0].URL = up.URL })
			door.trusting(pool)
			status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one")
			if status != c.status || (asked.Load() == 1) != (c.status == 200) {
				t.Errorf("%d, asked %d times: %s", status, asked.Load(), body)
			}
			if c.status != 200 && (!strings.Contains(body, "certificate") || strings.Contains(body, "127.0.0.1")) {
				t.Errorf("%s", body)
			}
		})
	}
}

// quiet is a log of nobody, for servers whose handshakes are meant to fail.
var quiet = log.New(io.Discard, "", 0)

// h2Upstream is an upstream that speaks HTTP/2 frame by frame, so that a test says when it goes away. serve is called with each request of each connection.
type h2Upstream struct {
	url         string
	pool        *x509.CertPool
	connections atomic.Int64
	pinged      atomic.Pointer[func(*http2.Framer)] // called when a sign of life was asked for and given; nil: none is given
}

func newH2Upstream(t *testing.T, serve func(conn int64, f *http2.Framer, stream uint32) bool) *h2Upstream {
	t.Helper()
	cert, pool := certified(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u := &h2Upstream{url: "https://" + l.Addr().String(), pool: pool}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go u.connection(c, serve)
		}
	}()
	return u
}

func (u *h2Upstream) connection(c net.Conn, serve func(int64, *http2.Framer, uint32) bool) {
	defer c.Close()
	n := u.connections.Add(1)
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch x := frame.(type) {
		case *http2.SettingsFrame:
			if !x.IsAck() {
				f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if pinged := u.pinged.Load(); pinged != nil && !x.IsAck() {
				f.WritePing(true, x.Data)
				(*pinged)(f)
			}
		case *http2.DataFrame:
			if x.StreamEnded() {
				if !serve(n, f, x.StreamID) {
					return
				}
			}
		}
	}
}

// h2Answer sends an answer; a part of it where it is not whole.
func h2Answer(f *http2.Framer, stream uint32, kind, body string, whole bool) {
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	enc.WriteField(hpack.HeaderField{Name: "content-type", Value: kind})
	f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndHeaders: true})
	f.WriteData(stream, whole, []byte(body))
}

// An upstream that goes away over HTTP/2 (GOAWAY, RFC 9113 §6.8): one that says that it did not look at the request is asked again over another connection, one that may have worked on it is not, and an answer that it leaves unfinished releases no call.
func TestUpstreamGoesAway(t *testing.T) {
	stream := chatStream(answer{"some words", []use{{"c1", "lookup", `{"id":"SECRET-ARGUMENT"}`}}})
	cut := strings.Index(stream, "c1") + 60 // the call has begun
	var worked atomic.Int64                 // requests that the upstream took into its hands
	for _, c := range []struct {
		name   string
		serve  func(conn int64, f *http2.Framer, id uint32) bool
		stream bool
		worked int64
		status []int
		want   string
	}{
		{"after each answer", func(_ int64, f *http2.Framer, id uint32) bool {
			if id > 1 { // it crossed with the GOAWAY, which says that nobody looks at it
				return true
			}
			worked.Add(1)
			h2Answer(f, id, "application/json", chatPlain(fine), true)
			f.WriteGoAway(id, http2.ErrCodeNo, nil)
			return true
		}, false, 2, []int{200, 200}, "all is well"},
		{"before it looked at the request", func(conn int64, f *http2.Framer, id uint32) bool {
			if conn == 1 {
				f.WriteGoAway(0, http2.ErrCodeNo, nil)
				return true
			}
			worked.Add(1)
			h2Answer(f, id, "application/json", chatPlain(fine), true)
			return true
		}, false, 1, []int{200}, "all is well"},
		{"with the request in its hands", func(_ int64, f *http2.Framer, id uint32) bool {
			worked.Add(1)
			f.WriteGoAway(id, http2.ErrCodeInternal, nil)
			return false
		}, false, 1, []int{502}, CodeUpstream},
		{"in the middle of a call", func(_ int64, f *http2.Framer, id uint32) bool {
			worked.Add(1)
			h2Answer(f, id, "text/event-stream", stream[:cut], false)
			f.WriteGoAway(id, http2.ErrCodeInternal, nil)
			return false
		}, true, 1, []int{200, 502}, "upstream_failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newH2Upstream(t, c.serve)
			door := newDoor(t, func(c *Config) { c.Upstreams[0].URL = up.url })
			door.trusting(up.pool)
			asked := len(c.status)
			if c.stream {
				asked = 1 // any of the statuses is right
			}
			for i := range asked {
				status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, c.stream), HeaderSession, fmt.Sprint(i))
				if !slices.Contains(c.status, status) || !strings.Contains(body, c.want) || strings.Contains(body, "SECRET") || strings.Contains(body, `"lookup"`) {
					t.Errorf("%d %s", status, body)
				}
			}
			if n := worked.Swap(0); n != c.worked {
				t.Errorf("the upstream worked on %d requests, want %d", n, c.worked)
			}
			for _, r := range door.records("/h:0") {
				if r.Phase == proviso.Released {
					t.Errorf("a call was released: %+v", r.Event.Body)
				}
			}
		})
	}
}

// A connection of which the other end is gone without a word, as when a machine loses power or a firewall forgets it: over HTTP/2 it is noticed long before the first byte is due, and an upstream that is only slow is waited for.
func TestUpstreamIsHalfOpen(t *testing.T) {
	for _, gone := range []bool{false, true} {
		var asked uint32
		up := newH2Upstream(t, func(_ int64, _ *http2.Framer, id uint32) bool {
			asked = id
			return true
		})
		if n := 0; !gone {
			slow := func(f *http2.Framer) {
				if n++; n == 3 {
					h2Answer(f, asked, "application/json", chatPlain(fine), true)
				}
			}
			up.pinged.Store(&slow)
		}
		door := newDoor(t, func(c *Config) {
			c.Upstreams[0].URL = up.url
			c.Limits.Connect, c.Limits.FirstByte = 50*time.Millisecond, 20*time.Second
		})
		door.trusting(up.pool)
		began := time.Now()
		status, _, body := door.post("/v1/chat/completions", chatRequest("m", hello, nil, false), HeaderSession, "one")
		took := time.Since(began)
		if gone != (status == http.StatusBadGateway || status == http.StatusGatewayTimeout) || gone && took > 10*time.Second || !gone && !strings.Contains(body, "all is well") {
			t.Errorf("gone %v: after %s: %d %s", gone, took, status, body)
		}
	}
}
