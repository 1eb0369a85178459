package nn

import (
	"sync"
	"sync/atomic"
)

// parallel calls f(worker, task) once for each task below tasks, on at most workers goroutines, the caller being one. Workers take the next task when they are free, so f must write to places
// that depend on the task alone; worker, below workers, is for scratch memory.
func parallel(workers, tasks int, f func(worker, task int)) {
	workers = min(workers, tasks)
	if workers <= 1 {
		for t := range tasks {
			f(0, t)
		}
		return
	}
	var next atomic.Int64
	run := func(worker int) {
		for t := int(next.Add(1)) - 1; t < tasks; t = int(next.Add(1)) - 1 {
			f(worker, t)
		}
	}
	var wg sync.WaitGroup
	for w := 1; w < workers; w++ {
		wg.Go(func() { run(w) })
	}
	run(0)
	wg.Wait()
}

// blocks calls f for each run of size rows of n.
func blocks(workers, n, size int, f func(lo, hi int)) {
	parallel(workers, (n+size-1)/size, func(_, t int) { f(t*size, min((t+1)*size, n)) })
}
