package settings

import (
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// stayWithinGroup keeps the program's memory below what its control group may have, as a container's limit, unless GOMEMLIMIT says how much: nine tenths, because not all of it is the heap.
// Beyond that limit the kernel would end the program; below it the collector works harder, and the memory for request bodies is a share of it (see gateway.Limits).
func stayWithinGroup() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	if n, ok := groupLimit(os.DirFS("/")); ok {
		debug.SetMemoryLimit(n / 10 * 9)
	}
}

// groupLimit is the least memory, in bytes, that the control group of this process and those above it may have, as Linux shows it in /proc/self/cgroup and below /sys/fs/cgroup (cgroups(7)); false where nothing limits it.
func groupLimit(root fs.FS) (least int64, ok bool) {
	mine, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	look := func(top, group, file string) {
		for at := path.Clean("/" + group); ; at = path.Dir(at) {
			b, err := fs.ReadFile(root, path.Join(top, at, file))
			if n, bad := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && bad == nil && n > 0 && n < 1<<60 && (!ok || n < least) {
				least, ok = n, true // version 1 writes a number near the largest one for none, version 2 "max"
			}
			if at == "/" {
				return
			}
		}
	}
	for line := range strings.Lines(string(mine)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case parts[0] == "0" && parts[1] == "":
			look("sys/fs/cgroup", parts[2], "memory.max")
		case strings.Contains(","+parts[1]+",", ",memory,"):
			look("sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes")
		}
	}
	return least, ok
}
