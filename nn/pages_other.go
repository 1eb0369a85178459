//go:build !linux

package nn

// largePages does nothing where the system has no such advice.
func largePages([]float32) {}
