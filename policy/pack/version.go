package pack

import (
	"slices"
	"strconv"
	"strings"
)

// Older reports whether a version comes before another, both as numbers between dots, as the core of Semantic Versioning has them; what follows a - or + is not compared.
func Older(a, b string) bool {
	x, y := versionNumbers(a), versionNumbers(b)
	return x != nil && y != nil && slices.Compare(x, y) < 0
}

func versionNumbers(v string) (out []int) {
	v = strings.TrimPrefix(v, "v")
	if i := strings.IndexAny(v, "-+"); i >= 0 {
		v = v[:i]
	}
	for _, part := range strings.Split(v, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			return nil
		}
		out = append(out, n)
	}
	for len(out) > 1 && out[len(out)-1] == 0 { // 1.0 is 1
		out = out[:len(out)-1]
	}
	return out
}
