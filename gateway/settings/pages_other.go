//go:build !linux

package settings

// forgetPages does nothing where the kernel is not Linux.
func forgetPages() {}
