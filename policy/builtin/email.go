package builtin

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// EmailDomain is the part of an address behind the @.
var EmailDomain = &Func{
	Name: "email.domain",
	Doc: `The domain of an email address in lower case. A text that is not one plain address, as email.valid defines it, is an error.
email.domain('Ann@Example.ORG') // 'example.org'
email.domain('Ann <ann@example.org>') // error: not one plain address`,
	Overloads: []Overload{{ID: "proviso_email_domain", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		_, d, err := splitEmail(s)
		return d, err
	})}},
}

// EmailInDomain tells whether an address belongs to a domain.
var EmailInDomain = &Func{
	Name: "email.in_domain",
	Doc: `Tells whether an email address is in a domain or one of its subdomains. A text that is not one plain address is an error.
email.in_domain('ann@mail.example.org', 'example.org') // true
email.in_domain('ann@notexample.org', 'example.org') // false`,
	Overloads: []Overload{{ID: "proviso_email_in_domain", In: twoTexts, Out: cel.BoolType, Eval: eval2(func(s, domain string) (bool, error) {
		_, d, err := splitEmail(s)
		if err != nil {
			return false, err
		}
		return inDomain(d, domain)
	})}},
}

// EmailLocal is the part of an address before the @.
var EmailLocal = &Func{
	Name: "email.local",
	Doc: `The part of an email address before the @, as written, because its case may matter to its host.
email.local('Ann.B+news@example.org') // 'Ann.B+news'`,
	Overloads: []Overload{{ID: "proviso_email_local", In: text, Out: cel.StringType, Eval: eval1(func(s string) (string, error) {
		l, _, err := splitEmail(s)
		return l, err
	})}},
}

// EmailValid tells whether a text is one plain address.
var EmailValid = &Func{
	Name: "email.valid",
	Doc: `Tells whether a text is one plain email address: ASCII, no display name, no quoted local part, no comment, no address literal, a domain with at least one dot.
It says nothing about whether the address exists.
email.valid('ann@example.org') // true
email.valid('ann@example') // false
email.valid('a@x.org, b@y.org') // false`,
	Overloads: []Overload{{ID: "proviso_email_valid", In: text, Out: cel.BoolType, Eval: eval1(func(s string) (bool, error) {
		_, _, err := splitEmail(s)
		return err == nil, nil
	})}},
}

// atomMarks are the characters that RFC 5322 allows in an atom beside letters and digits.
const atomMarks = "!#$%&'*+-/=?^_`{|}~"

func splitEmail(s string) (local, domain string, err error) {
	local, domain, ok := strings.Cut(s, "@")
	switch {
	case !ok, local == "", len(local) > 64, len(s) > 254:
		return "", "", notAddress(s)
	}
	for _, atom := range strings.Split(local, ".") {
		if atom == "" || strings.IndexFunc(atom, func(r rune) bool { return !isLetterOrDigit(r) && !strings.ContainsRune(atomMarks, r) }) >= 0 {
			return "", "", notAddress(s)
		}
	}
	domain = strings.ToLower(domain)
	if !strings.Contains(domain, ".") || checkHostname(domain) != nil {
		return "", "", notAddress(s)
	}
	return local, domain, nil
}

func notAddress(s string) error { return fmt.Errorf("%s is not one plain address", quote(s)) }

// quote shortens a text for a message.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

func isLetterOrDigit(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}

var errHostname = errors.New("is not a host name of ASCII letters, digits, hyphens and dots")

// checkHostname accepts names of letters, digits and inner hyphens (RFC 1123), whose last label is not a number, so that no odd form of an IP address passes for a name.
func checkHostname(h string) error {
	if len(h) > 253 {
		return errHostname
	}
	labels := strings.Split(h, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return errHostname
		}
		if strings.IndexFunc(l, func(r rune) bool { return !isLetterOrDigit(r) && r != '-' }) >= 0 {
			return errHostname
		}
	}
	if numeric(labels[len(labels)-1]) {
		return errHostname
	}
	return nil
}

// numeric tells whether a label reads as a number for any of the common parsers of IPv4 addresses: decimal, octal, or hexadecimal with 0x.
func numeric(label string) bool {
	hex, isHex := strings.CutPrefix(strings.ToLower(label), "0x")
	digits := "0123456789"
	if isHex {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

// inDomain tells whether a lower-case host is the domain or below it.
func inDomain(host, domain string) (bool, error) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if err := checkHostname(domain); err != nil {
		return false, fmt.Errorf("domain %s %w", quote(domain), err)
	}
	return host == domain || strings.HasSuffix(host, "."+domain), nil
}
