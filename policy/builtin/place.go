package builtin

import (
	"net/url"
	"strings"

	"cel.dev/cel-go/cel"
)

// This file has the lenient half of the url family: what every text has, for finding places that somebody went to. What may be allowed is decided with the strict half.

// URLDecode undoes percent-encoding.
var URLDecode = &Func{
	Name: "url.decode",
	Doc: `The text with every percent-encoding undone once; a percent sign that begins none stays as it is. What is no UTF-8 afterwards becomes U+FFFD.
url.decode('/%61dmin/caf%C3%A9') // '/admin/café'
url.decode('100% of %zz') // '100% of %zz'
url.decode('%2561') // '%61'`,
	Overloads: []Overload{{ID: "proviso_url_decode", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) { return unescaped(s), nil })}},
}

// URLParams are the parameters of a URL's query.
var URLParams = &Func{
	Name: "url.params",
	Doc: `The parameters of a URL's query: by name, their values in order, percent-decoded once and with + as a blank. There are none where there is no query. Slashes at the end of the URL do not count. Any text can be asked, so that nothing hides in a URL that other functions refuse.
url.params('https://example.com/s?q=a+b&q=c%26d&p=1#top') // {'q': ['a b', 'c&d'], 'p': ['1']}
url.params('example.com/s') // {}
url.params('/s?lang=en')['lang'] // ['en']`,
	Overloads: []Overload{{ID: "proviso_url_params", In: text, Out: cel.MapType(cel.StringType, texts), Cost: 20, Eval: eval1(func(s string) (map[string][]string, error) { return params(s), nil })}},
}

// URLPlace is where a URL leads.
var URLPlace = &Func{
	Name: "url.place",
	Doc: `Where a URL leads, as one text to look for passages in: host with port, path, and what stands behind #, as they are written, without the scheme, the query, and slashes at the end. Any text has one; put it through url.decode and text.lower first. It is for finding a place that is forbidden; whether a place is allowed is asked with url.within and url.in_domain, because a passage can stand in a host of somebody else.
url.place('https://example.com:8080/admin/?x=1#users') // 'example.com:8080/admin/#users'
url.place('/profile/') // '/profile'
url.place('example') // 'example'`,
	Overloads: []Overload{{ID: "proviso_url_place", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		host, _, fragment := parts(s)
		return host + fragment, nil
	})}},
}

// parts cuts a URL into what stands before its query without the scheme, the query, and the fragment with its #, empty where it has none.
func parts(s string) (place, query, fragment string) {
	s = strings.TrimRight(s, "/")
	if i := strings.Index(s, "#"); i >= 0 {
		s, fragment = s[:i], s[i:]
	}
	if fragment == "#" {
		fragment = ""
	}
	s, query, _ = strings.Cut(s, "?")
	return strings.TrimPrefix(s[len(scheme(s)):], "//"), query, fragment
}

// scheme is the beginning of a URL up to the colon before //, empty where it has none.
func scheme(s string) string {
	i := strings.Index(s, "://")
	if i < 0 || strings.ContainsAny(s[:i], "/?#@") {
		return ""
	}
	return s[:i+1]
}

func params(s string) map[string][]string {
	out := map[string][]string{}
	_, query, _ := parts(s)
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.ReplaceAll(pair, "+", " "), "=")
		name = unescaped(name)
		out[name] = append(out[name], unescaped(value))
	}
	return out
}

// unescaped undoes percent-encoding once and leaves alone what is none.
func unescaped(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+3 <= len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return strings.ToValidUTF8(b.String(), "\uFFFD")
}
