package lazyregexp

import (
	"regexp"
	"sync"
)

// Regexp is a regular expression that is compiled at its first use. It may be used by many goroutines at once and must not be copied.
type Regexp struct {
	source string
	once   sync.Once
	re     *regexp.Regexp
}

// New is a regular expression, compiled when it is first used. A variable of a package that is New of a constant costs nothing at the start: the compiler lays it out.
func New(source string) *Regexp { return &Regexp{source: source} }

// Regexp is the compiled expression. It panics where the source is none.
func (r *Regexp) Regexp() *regexp.Regexp {
	r.once.Do(r.compile)
	return r.re
}

func (r *Regexp) compile() { r.re = regexp.MustCompile(r.source) }

// String is the source.
func (r *Regexp) String() string { return r.source }

// MatchString reports whether s contains a match.
func (r *Regexp) MatchString(s string) bool { return r.Regexp().MatchString(s) }

// FindString is the leftmost match in s, empty where there is none.
func (r *Regexp) FindString(s string) string { return r.Regexp().FindString(s) }

// FindStringIndex is where the leftmost match in s begins and ends, nil where there is none.
func (r *Regexp) FindStringIndex(s string) []int { return r.Regexp().FindStringIndex(s) }

// FindStringSubmatch is the leftmost match in s and its groups, nil where there is none.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.Regexp().FindStringSubmatch(s) }

// FindAllString is the first n matches in s, all where n is negative.
func (r *Regexp) FindAllString(s string, n int) []string { return r.Regexp().FindAllString(s, n) }

// FindAllStringIndex is where the first n matches in s begin and end, all where n is negative.
func (r *Regexp) FindAllStringIndex(s string, n int) [][]int {
	return r.Regexp().FindAllStringIndex(s, n)
}

// FindAllStringSubmatch is the first n matches in s with their groups, all where n is negative.
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.Regexp().FindAllStringSubmatch(s, n)
}

// FindAllStringSubmatchIndex is where the first n matches in s and their groups begin and end, all where n is negative.
func (r *Regexp) FindAllStringSubmatchIndex(s string, n int) [][]int {
	return r.Regexp().FindAllStringSubmatchIndex(s, n)
}

// FindAllSubmatchIndex is FindAllStringSubmatchIndex of bytes.
func (r *Regexp) FindAllSubmatchIndex(b []byte, n int) [][]int {
	return r.Regexp().FindAllSubmatchIndex(b, n)
}

// ReplaceAllString is s with every match replaced; $1 in with is the first group.
func (r *Regexp) ReplaceAllString(s, with string) string { return r.Regexp().ReplaceAllString(s, with) }

// ReplaceAllLiteralString is s with every match replaced by with as it stands.
func (r *Regexp) ReplaceAllLiteralString(s, with string) string {
	return r.Regexp().ReplaceAllLiteralString(s, with)
}

// ReplaceAllStringFunc is s with every match replaced by what with makes of it.
func (r *Regexp) ReplaceAllStringFunc(s string, with func(string) string) string {
	return r.Regexp().ReplaceAllStringFunc(s, with)
}

// Match reports whether b contains a match.
func (r *Regexp) Match(b []byte) bool { return r.Regexp().Match(b) }

// Find is the leftmost match in b, nil where there is none.
func (r *Regexp) Find(b []byte) []byte { return r.Regexp().Find(b) }

// FindSubmatchIndex is where the leftmost match in b and its groups begin and end, nil where there is none.
func (r *Regexp) FindSubmatchIndex(b []byte) []int { return r.Regexp().FindSubmatchIndex(b) }

// FindStringSubmatchIndex is where the leftmost match in s and its groups begin and end, nil where there is none.
func (r *Regexp) FindStringSubmatchIndex(s string) []int {
	return r.Regexp().FindStringSubmatchIndex(s)
}
