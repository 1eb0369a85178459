package main

import (
	"runtime"
	"syscall"
)

// processTime is the CPU time of this process in seconds.
func processTime() float64 { return usage(syscall.RUSAGE_SELF) }

func usage(who int) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)*1e-6
}

// threadTime runs f on one thread and returns the CPU time of that thread, which another process on the same core does not lengthen.
func threadTime(f func()) float64 {
	const thread = 1 // RUSAGE_THREAD of Linux
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := usage(thread)
	f()
	return usage(thread) - before
}
