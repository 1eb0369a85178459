package settings

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// forgetPages takes out of this process's memory the pages of the program's own file that were only needed to start: compiling packs runs through most of the program, serving needs a small part of it.
// The pages are clean and shared; the kernel would take them when it is short of memory, after those of programs that need theirs. What is needed again comes back from the file, a page at a time.
//
// Only mappings that nobody can write, and of which no page was changed, are looked at; where anything about them is not as expected they are left as they are.
func forgetPages() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	b, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range unchanged(b, program) {
		// What comes of it does not matter.
		syscall.Syscall(syscall.SYS_MADVISE, m[0], m[1]-m[0], syscall.MADV_DONTNEED)
	}
}

// unchanged reads a list of mappings as /proc/PID/smaps has it, and returns where those of a file begin and end that nobody can write and of which no page was changed: a page that was is anonymous.
func unchanged(smaps []byte, file string) (out [][2]uintptr) {
	var at [2]uintptr
	own := false
	for line := range strings.Lines(string(smaps)) {
		f := strings.Fields(line)
		switch {
		case len(f) > 0 && !strings.HasSuffix(f[0], ":"):
			own = len(f) > 5 && strings.HasPrefix(f[1], "r-") && strings.HasSuffix(f[1], "p") && strings.HasSuffix(line, " "+file+"\n")
			from, to, _ := strings.Cut(f[0], "-")
			for i, text := range []string{from, to} {
				n, err := strconv.ParseUint(text, 16, strconv.IntSize)
				own, at[i] = own && err == nil, uintptr(n)
			}
		case own && len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0":
			out = append(out, at)
		}
	}
	return out
}
