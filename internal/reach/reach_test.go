package reach

import (
	"net/http"
	"testing"
)

func TestForeignPage(t *testing.T) {
	hosts := []string{"gate.example.com"}
	for _, c := range []struct {
		host, origin string
		ok           bool
	}{
		{"localhost:8080", "", true},
		{"LOCALHOST", "", true},
		{"127.0.0.1:8080", "", true},
		{"[::1]:8080", "", true},
		{"10.0.0.7:8080", "", true},
		{"gate.example.com", "", true},
		{"evil.example.com", "", false},
		{"localhost.evil.example.com", "", false},
		{"", "", false},
		{"localhost:8080", "http://localhost:3000", true},
		{"localhost:8080", "http://127.0.0.1:3000", true},
		{"10.0.0.7:8080", "http://10.0.0.7:8080", true},
		{"10.0.0.7:8080", "http://10.0.0.8:8080", false},
		{"localhost:8080", "http://203.0.113.5", false}, // anybody's page at an address in numbers
		{"localhost:8080", "http://[2001:db8::5]", false},
		{"localhost:8080", "https://evil.example.com", false},
		{"localhost:8080", "https://gate.example.com", true},
		{"localhost:8080", "null", false},
		{"localhost:8080", "file://", false},
		{"localhost:8080", "http://%", false},
	} {
		r := &http.Request{Host: c.host, Header: http.Header{}}
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		if why := ForeignPage(r, hosts); (why == "") != c.ok {
			t.Errorf("%s from %q: %q", c.host, c.origin, why)
		}
	}
}

func TestPublic(t *testing.T) {
	for _, a := range []string{"127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "192.168.1.1:1", "172.16.0.1:1", "169.254.169.254:80", "[fe80::1]:1", "[fd00::1]:1", "0.0.0.0:1", "[::]:1", "[::ffff:127.0.0.1]:1", "[::ffff:169.254.169.254]:1", "100.64.0.1:1", "224.0.0.1:1", "x"} {
		if Public(a) == nil {
			t.Errorf("%s is taken for public", a)
		}
	}
	for _, a := range []string{"8.8.8.8:443", "[2606:4700::1111]:443"} {
		if err := Public(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}
