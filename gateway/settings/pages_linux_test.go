package settings

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Only what nobody can write and nobody has written is given back.
func TestUnchanged(t *testing.T) {
	mapping := func(head, anonymous string) string {
		return head + "\nSize:   4 kB\nRss:   4 kB\nPrivate_Dirty:   4 kB\nAnonymous:   " + anonymous + " kB\nVmFlags: rd ex mr\n"
	}
	smaps := strings.Join([]string{
		mapping("00400000-01a00000 r-xp 00000000 fe:00 5                                  /opt/proviso", "0"),
		mapping("01a00000-02a00000 r--p 01600000 fe:00 5                                  /opt/proviso", "0"),
		mapping("02a00000-02b00000 r--p 02600000 fe:00 5                                  /opt/proviso", "8"), // relocated
		mapping("02b00000-02c00000 rw-p 02700000 fe:00 5                                  /opt/proviso", "0"),
		mapping("03000000-03100000 r-xs 00000000 fe:00 5                                  /opt/proviso", "0"),
		mapping("04000000-04100000 r-xp 00000000 fe:00 6                                  /opt/other/opt/proviso-2", "0"),
		mapping("c000000000-c000400000 rw-p 00000000 00:00 0 ", "400"),
		mapping("7ffe-7fff r-xp 00000000 00:00 0                                  [vdso]", "0"),
	}, "")
	if got, want := unchanged([]byte(smaps), "/opt/proviso"), [][2]uintptr{{0x400000, 0x1a00000}, {0x1a00000, 0x2a00000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
	if got := unchanged([]byte("nonsense\n\nzz-yy r-xp a b c /opt/proviso\nAnonymous: 0 kB\n"), "/opt/proviso"); got != nil {
		t.Errorf("of nonsense: %x", got)
	}
}

// The program is smaller in memory, and goes on from its file.
func TestForgetPages(t *testing.T) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Skip("skipped: this system has no /proc")
	}
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil || len(unchanged(b, program)) == 0 {
		t.Skip("skipped: this kernel does not list the mappings of a program in a way that can be relied on")
	}
	before := resident(string(b), program)
	forgetPages()
	b, err = os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	// What runs now has come back already, with what lies around it.
	if after := resident(string(b), program); after > before*3/4 {
		t.Errorf("%d kB of the program's file were in memory, %d kB are", before, after)
	}
}

// resident is how many kB of a file are in memory, by a list of mappings.
func resident(smaps, file string) (kb int) {
	own := false
	for line := range strings.Lines(smaps) {
		f := strings.Fields(line)
		if !strings.HasSuffix(f[0], ":") {
			own = strings.HasSuffix(line, " "+file+"\n")
		} else if n, err := strconv.Atoi(f[1]); own && f[0] == "Rss:" && err == nil {
			kb += n
		}
	}
	return kb
}
