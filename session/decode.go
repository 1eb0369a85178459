package session

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decoders undo encodings that a value can carry a text out in. Each refuses what is not plainly in its encoding.
var decoders = []func(string) (string, bool){fromBase64, fromHex, fromPercent}

// minEncoded is the shortest text that is taken for an encoded one, in bytes; most shorter ones are words.
const minEncoded = 8

func fromBase64(s string) (string, bool) {
	if s = strings.TrimRight(s, "= \n"); len(s) < minEncoded || strings.ContainsAny(s, ".@:,") {
		return "", false
	}
	s = strings.Join(strings.Fields(s), "")
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := e.DecodeString(s); err == nil {
			return readable(b)
		}
	}
	return "", false
}

// hexBytes begin and end what is hexadecimal; between may stand what parts its bytes.
const hexBytes = `0123456789abcdefABCDEF\`

var betweenHex = strings.NewReplacer(" ", "", ":", "", `\x`, "")

func fromHex(s string) (string, bool) {
	if s = strings.TrimPrefix(s, "0x"); len(s) < minEncoded || strings.IndexByte(hexBytes, s[0]) < 0 || strings.IndexByte(hexBytes, s[len(s)-1]) < 0 {
		return "", false
	}
	s = betweenHex.Replace(s)
	b, err := hex.DecodeString(s)
	if err != nil {
		return "", false
	}
	return readable(b)
}

func fromPercent(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return "", false
	}
	t, err := url.QueryUnescape(s)
	if err != nil || t == s {
		return "", false
	}
	return readable([]byte(t))
}

// readable reports whether bytes are a text.
func readable(b []byte) (string, bool) {
	if !utf8.Valid(b) {
		return "", false
	}
	for _, c := range string(b) {
		if !unicode.IsPrint(c) && !unicode.IsSpace(c) {
			return "", false
		}
	}
	return string(b), len(b) > 0
}
