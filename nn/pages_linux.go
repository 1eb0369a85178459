package nn

import (
	"syscall"
	"unsafe"
)

// largePages asks for pages of 2 MiB under x: a network is read from end to end, and with pages of 4 KiB every third cache line of a product of few rows waits for the address of its page.
// It is advice; where the system does not take it, nothing changes but the speed.
func largePages(x []float32) {
	const page = 2 << 20
	if 4*len(x) < 2*page {
		return
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&x[0])), 4*len(x))
	skip := int(-uintptr(unsafe.Pointer(&b[0])) % page)
	_ = syscall.Madvise(b[skip:skip+(len(b)-skip)/page*page], syscall.MADV_HUGEPAGE)
}
