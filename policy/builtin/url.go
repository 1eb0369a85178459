package builtin

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types/ref"

	"github.com/proviso-dev/proviso/internal/lazyregexp"
)

// URLHost is the host that a URL names.
var URLHost = &Func{
	Name: "url.host",
	Doc: `The host of an absolute URL in lower case, without port and without a final dot; IP addresses in their usual form.
What different programs read differently is an error: user information before the host, spaces, backslashes, control or non-ASCII characters (write an international host in its xn-- form), percent signs in the host, and IPv4 addresses written in an odd way.
url.host('https://API.Example.com:8443/v1?q=1') // 'api.example.com'
url.host('https://example.com@evil.org/') // error: user information
url.host('http://0x7f.1/') // error: host`,
	Overloads: []Overload{{ID: "proviso_url_host", In: text, Out: cel.StringType, Cost: 10, Eval: urlPart(func(u *address) (string, error) { return u.needHost() })}},
}

// URLInDomain tells whether a URL's host belongs to a domain.
var URLInDomain = &Func{
	Name: "url.in_domain",
	Doc: `Tells whether the host of a URL is a domain or one of its subdomains. What is an error for url.host is an error here.
url.in_domain('https://api.example.com/', 'example.com') // true
url.in_domain('https://example.com.evil.org/', 'example.com') // false`,
	Overloads: []Overload{{ID: "proviso_url_in_domain", In: twoTexts, Out: cel.BoolType, Cost: 10, Eval: eval2(func(s, domain string) (bool, error) {
		u, err := parseURL(s)
		if err != nil {
			return false, err
		}
		h, err := u.needHost()
		if err != nil {
			return false, err
		}
		return inDomain(h, domain)
	})}},
}

// URLPath is the path of a URL.
var URLPath = &Func{
	Name: "url.path",
	Doc: `The path of a URL, percent-decoded once, with . and .. resolved; / where there is none.
An encoded slash, backslash or NUL, and text that still looks percent-encoded, are errors.
url.path('https://example.com/a/%2e%2e/b/') // '/b'
url.path('https://example.com') // '/'
url.path('https://example.com/a%2Fb') // error: encoded`,
	Overloads: []Overload{{ID: "proviso_url_path", In: text, Out: cel.StringType, Cost: 10, Eval: urlPart(func(u *address) (string, error) { return u.cleanPath() })}},
}

// URLPort is the port that a URL leads to.
var URLPort = &Func{
	Name: "url.port",
	Doc: `The port of a URL: the one written, else the default of http, https, ws, wss or ftp; an error for other schemes.
url.port('https://example.com/') // 443
url.port('http://example.com:8080/') // 8080`,
	Overloads: []Overload{{ID: "proviso_url_port", In: text, Out: cel.IntType, Cost: 10, Eval: urlPart(func(u *address) (int64, error) { return u.needPort() })}},
}

// URLQuery is the query of a URL.
var URLQuery = &Func{
	Name: "url.query",
	Doc: `The query of a URL as written, without the question mark; empty where there is none.
url.query('https://example.com/a?x=1&y=%20') // 'x=1&y=%20'
url.query('https://example.com/a#?x') // ''`,
	Overloads: []Overload{{ID: "proviso_url_query", In: text, Out: cel.StringType, Cost: 10, Eval: urlPart(func(u *address) (string, error) { return u.url.RawQuery, nil })}},
}

// URLScheme is the scheme of a URL.
var URLScheme = &Func{
	Name: "url.scheme",
	Doc: `The scheme of an absolute URL in lower case; a text without one is an error.
url.scheme('HTTPS://example.com') // 'https'
url.scheme('example.com') // error: no scheme`,
	Overloads: []Overload{{ID: "proviso_url_scheme", In: text, Out: cel.StringType, Cost: 10, Eval: urlPart(func(u *address) (string, error) { return u.url.Scheme, nil })}},
}

// URLWithin tells whether a URL lies below another.
var URLWithin = &Func{
	Name: "url.within",
	Doc: `Tells whether a URL has the scheme, host and port of a base URL and a path that is the base's path or below it. What is an error for url.host or url.path is an error here, and so is a base with a query or a fragment.
url.within('https://example.com/docs/a', 'https://example.com:443/docs') // true
url.within('https://example.com/docs/../admin', 'https://example.com/docs') // false
url.within('https://example.com/docs2', 'https://example.com/docs') // false`,
	Overloads: []Overload{{ID: "proviso_url_within", In: twoTexts, Out: cel.BoolType, Cost: 20, Eval: eval2(urlWithin)}},
}

// address is a URL that every common parser reads in the same way.
type address struct {
	url  *url.URL
	host string // lower case, empty where there is none
	port int64  // 0 where none is written
}

func urlPart[R any](f func(*address) (R, error)) func(...ref.Val) ref.Val {
	return eval1(func(s string) (R, error) {
		u, err := parseURL(s)
		if err != nil {
			var zero R
			return zero, err
		}
		return f(u)
	})
}

func parseURL(s string) (*address, error) {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '\\' || c >= 0x7f {
			return nil, fmt.Errorf("%s has the character %q, which a URL may not have; percent-encode it", quote(s), rune(c))
		}
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", quote(s))
	}
	if u.Scheme == "" {
		return nil, fmt.Errorf("%s has no scheme, such as https://", quote(s))
	}
	if u.User != nil {
		return nil, fmt.Errorf("%s has user information before its host, which hides where it leads", quote(s))
	}
	a := &address{url: u}
	if u.Host == "" {
		return a, nil
	}
	if strings.Contains(authority(s), "%") {
		return nil, fmt.Errorf("%s has a percent sign in its host", quote(s))
	}
	if a.host, err = canonicalHost(u.Hostname(), strings.HasPrefix(u.Host, "[")); err != nil {
		return nil, fmt.Errorf("host of %s %w", quote(s), err)
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("port %s of %s is not between 1 and 65535", quote(p), quote(s))
		}
		a.port = int64(n)
	}
	return a, nil
}

// authority is the text between // and the next slash, question mark or hash.
func authority(s string) string {
	_, rest, _ := strings.Cut(s, "//")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

func canonicalHost(h string, bracketed bool) (string, error) {
	if ip, err := netip.ParseAddr(h); err == nil && ip.Zone() == "" && ip.Is6() == bracketed {
		return ip.String(), nil
	}
	h = strings.ToLower(strings.TrimSuffix(h, "."))
	if bracketed {
		return "", errHostname
	}
	return h, checkHostname(h)
}

func (a *address) needHost() (string, error) {
	if a.host == "" {
		return "", fmt.Errorf("%s has no host", quote(a.url.String()))
	}
	return a.host, nil
}

var defaultPorts = map[string]int64{"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}

func (a *address) needPort() (int64, error) {
	if a.port != 0 {
		return a.port, nil
	}
	p, ok := defaultPorts[a.url.Scheme]
	if !ok {
		return 0, fmt.Errorf("%s names no port, and scheme %s has no default here", quote(a.url.String()), a.url.Scheme)
	}
	return p, nil
}

var stillEncoded = lazyregexp.New(`%[0-9A-Fa-f]{2}`)

func (a *address) cleanPath() (string, error) {
	if a.url.Opaque != "" {
		return "", fmt.Errorf("%s has no path, because // is missing", quote(a.url.String()))
	}
	raw := strings.ToLower(a.url.EscapedPath())
	for _, bad := range []string{"%2f", "%5c", "%00"} {
		if strings.Contains(raw, bad) {
			return "", fmt.Errorf("path of %s has an encoded %s, which servers read differently", quote(a.url.String()), bad)
		}
	}
	if stillEncoded.MatchString(a.url.Path) {
		return "", fmt.Errorf("path of %s is encoded twice", quote(a.url.String()))
	}
	return path.Clean("/" + a.url.Path), nil
}

func urlWithin(s, base string) (bool, error) {
	u, err := parseURL(s)
	if err != nil {
		return false, err
	}
	b, err := parseURL(base)
	if err != nil {
		return false, fmt.Errorf("base: %w", err)
	}
	if b.url.RawQuery != "" || b.url.ForceQuery || b.url.Fragment != "" {
		return false, fmt.Errorf("base %s has a query or a fragment; leave it out", quote(base))
	}
	up, err := u.cleanPath()
	if err != nil {
		return false, err
	}
	bp, err := b.cleanPath()
	if err != nil {
		return false, fmt.Errorf("base: %w", err)
	}
	if u.url.Scheme != b.url.Scheme || u.host != b.host {
		return false, nil
	}
	if u.port != b.port {
		uport, err := u.needPort()
		if err != nil {
			return false, err
		}
		bport, err := b.needPort()
		if err != nil {
			return false, err
		}
		if uport != bport {
			return false, nil
		}
	}
	return below(up, bp), nil
}

// below tells whether a clean path is root or lies below it.
func below(p, root string) bool {
	return p == root || strings.HasPrefix(p, strings.TrimSuffix(root, "/")+"/")
}
