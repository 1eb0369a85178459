package builtin

import (
	"slices"
	"strings"
)

// TextDomains lists the hosts that a text names.
var TextDomains = &Func{
	Name: "text.domains",
	Doc: `The hosts that a text names, in lower case, sorted, each once: those of its links, of its email addresses, and names such as shop.example.com that stand alone and end as domains do.
It is for allow lists: text.domains(text).all(d, d in data.allowed). A bare name with an ending that is no common one is not seen.
text.domains('See https://Docs.Example.com/a or mail ann@example.org; example.net works as well.') // ['docs.example.com', 'example.net', 'example.org']
text.domains('Open README.md, version 1.2.3.') // []`,
	Overloads: []Overload{{ID: "proviso_text_domains", In: text, Out: texts, Eval: eval1(domainsIn), Cost: detectCost}},
}

// TextURLs lists the links of a text.
var TextURLs = &Func{
	Name: "text.urls",
	Doc: `The links that a text has, as they are written, in order: what begins with a scheme and ://, or with www., up to a blank, a quotation mark or an angle bracket; without the punctuation of the sentence, or the closing bracket of Markdown, and no more than 2,048 bytes.
text.urls('Go to [this](https://example.com/a?b=c), please (or www.example.org).') // ['https://example.com/a?b=c', 'www.example.org']
text.urls('no link') // []`,
	Overloads: []Overload{{ID: "proviso_text_urls", In: text, Out: texts, Eval: eval1(func(s string) ([]string, error) { return urlsIn(s), nil }), Cost: 200}},
}

// endings are the last labels of domains that are recognised without a scheme before them, beside those of two letters that are no file's.
var endings = "com org net edu gov mil int info biz name pro app dev io ai co me tv xyz online site shop store tech cloud top club news blog link click website space agency email company digital global host icu network services social software solutions studio tools vip zone ru cn de uk fr jp br in it nl es au ca ch se no fi dk pl at be cz eu us tk ml ga cf gq pw cc ws to ly gg so example invalid onion"

func urlsIn(s string) []string {
	out := []string{}
	done := 0 // nothing before it belongs to another link
	for i := 0; i < len(s); i++ {
		start := linkAt(s, i, done)
		if start < 0 {
			continue
		}
		end := start
		for end < len(s) && end-start < longestLink && s[end] > ' ' && strings.IndexByte("\"'<>`\\", s[end]) < 0 && !strings.HasPrefix(s[end:], "](") {
			end++
		}
		link := strings.TrimRight(s[start:end], sentenceMarks)
		for strings.HasSuffix(link, ")") && strings.Count(link, ")") > strings.Count(link, "(") || strings.HasSuffix(link, "]") && strings.Count(link, "]") > strings.Count(link, "[") {
			link = strings.TrimRight(link[:len(link)-1], sentenceMarks)
		}
		out = append(out, link)
		done, i = end, max(i, end-1)
	}
	return out
}

// longestLink bounds what counts as one link, in bytes.
const longestLink = 2048

// sentenceMarks are not the end of a link but of the sentence around it.
const sentenceMarks = ".,;:!?*_|"

// linkAt returns the beginning of the link that the byte at i is the mark of: the colon behind a scheme, or the first letter of www; negative where it is none.
func linkAt(s string, i, done int) int {
	switch {
	case strings.HasPrefix(s[i:], "://"):
		const longest = 20
		start := i
		for start > max(done, i-longest) && (class(s[start-1]).is(alnum&^foreign) || strings.IndexByte("+.-", s[start-1]) >= 0) {
			start--
		}
		if start < i {
			return start
		}
	case s[i]|0x20 == 'w' && len(s)-i > len("www.") && strings.EqualFold(s[i:i+len("www.")], "www.") && (i == 0 || !class(s[i-1]).is(alnum)):
		return i
	}
	return -1
}

func domainsIn(s string) ([]string, error) {
	p := newPage(s)
	out := []string{}
	for i := 0; i < len(p.s); {
		c := p.s[i]
		if !class(c).is(alnum &^ foreign) {
			i++
			continue
		}
		start := i
		for i < len(p.s) && (class(p.s[i]).is(alnum) || p.s[i] == '-' || p.s[i] == '_' || p.s[i] == '.' && i+1 < len(p.s) && class(p.s[i+1]).is(alnum)) {
			i++
		}
		host := strings.ToLower(p.s[start:i])
		linked := strings.HasSuffix(p.s[:start], "://") || strings.HasSuffix(p.s[:start], "@")
		if linked && !strings.HasPrefix(p.s[i:], "@") && !p.credentials(i) {
			out = append(out, strings.TrimRight(host, "-."))
			continue
		}
		dot := strings.LastIndexByte(host, '.')
		if dot < 1 || !hasField(endings, host[dot+1:]) || strings.HasPrefix(p.s[i:], "@") || strings.HasPrefix(p.s[i:], "(") || start > 0 && strings.IndexByte("/\\=&", p.s[start-1]) >= 0 || checkHostname(host) != nil {
			continue
		}
		out = append(out, host)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// credentials tells whether what ends at i is the user of a URL, so that the host follows the @.
func (p *page) credentials(i int) bool {
	rest := p.upTo(i, 128)
	if n := strings.IndexAny(rest, " /\"'<>\n"); n >= 0 {
		rest = rest[:n]
	}
	return strings.HasPrefix(rest, ":") && strings.Contains(rest, "@")
}
