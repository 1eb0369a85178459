package builtin

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a URL was encoded to is decoded to what it was, and a URL that other programs read leads where they say.
func TestPlaces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		if got := unescaped(url.PathEscape(s)); got != s {
			t.Fatalf("%q is decoded to %q", s, got)
		}
		word := rapid.StringMatching(`[a-z0-9é %&=+?#]{1,8}`)
		u := url.URL{Scheme: rapid.SampledFrom([]string{"http", "https", "ftp"}).Draw(t, "scheme"), Host: rapid.SampledFrom([]string{"example.com", "localhost:8080", "[::1]:80"}).Draw(t, "host"),
			Path: "/" + strings.Join(rapid.SliceOfN(word, 0, 3).Draw(t, "path"), "/"), Fragment: rapid.SampledFrom([]string{"", "top", "/a/b"}).Draw(t, "fragment")}
		values := url.Values{}
		for _, k := range rapid.SliceOfN(word, 0, 3).Draw(t, "names") {
			values[k] = rapid.SliceOfN(word, 1, 2).Draw(t, "values")
		}
		u.RawQuery = values.Encode()
		written := u.String()
		place, _, fragment := parts(written)
		want := u.Host + u.EscapedPath()
		if u.Fragment != "" {
			want += "#" + u.EscapedFragment()
		}
		if u.RawQuery == "" && u.Fragment == "" {
			want = strings.TrimRight(want, "/")
		}
		if got := place + fragment; got != want {
			t.Fatalf("%s leads to %q, want %q", written, got, want)
		}
		got := params(written)
		if len(got) != len(values) {
			t.Fatalf("%s has the parameters %q, want %q", written, got, values)
		}
		for k, v := range values {
			if !slices.Equal(got[k], v) {
				t.Fatalf("%s: parameter %q is %q, want %q", written, k, got[k], v)
			}
		}
	})
}
