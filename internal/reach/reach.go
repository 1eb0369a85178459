// Package reach says who may ask a server of this machine, and which addresses it may ask itself.
package reach

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ForeignPage says why a request may come from a page that a stranger made (DNS rebinding, cross-site requests); empty where it does not. hosts are further names of the server, in lower case.
// A browser names the host that the page thinks it talks to, and the page's origin; other clients name the address that they were given.
func ForeignPage(r *http.Request, hosts []string) string {
	if !own(r.Host, hosts) {
		return fmt.Sprintf("the host %q is neither this machine nor an address in numbers", name(r.Host))
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return ""
	}
	// An address in numbers cannot be pointed elsewhere, but anybody may have a page at one: it counts as an origin only where it is the address that is asked, or this machine's.
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || !own(u.Host, hosts) || numbered(u.Host) && !local(u.Host) && u.Host != r.Host {
		return fmt.Sprintf("pages of %q may not ask here", origin)
	}
	return ""
}

// own reports whether a host is this machine, an address in numbers, or listed.
func own(host string, hosts []string) bool {
	return local(host) || numbered(host) || slices.Contains(hosts, name(host))
}

func local(host string) bool {
	ip := net.ParseIP(name(host))
	return name(host) == "localhost" || ip != nil && ip.IsLoopback()
}

func numbered(host string) bool { return net.ParseIP(name(host)) != nil }

// name is a host without its port.
func name(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// ErrPrivate is the error of Public for an address that is not public.
var ErrPrivate = errors.New("the address is not public")

// shared is 100.64.0.0/10, which providers share among customers (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// Public fails for every address, with its port, that is this machine, a private network or what stands for them: with ErrPrivate, or with another error where the address cannot be read.
func Public(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("the address %s cannot be read", address)
	}
	a := ap.Addr().Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || shared.Contains(a) {
		return ErrPrivate
	}
	return nil
}
