package world

import (
	"bytes"
	"maps"
	"slices"
	"testing"
)

// TestGenerator is the contract of a kind of generated world. generate returns the files of a policy and so many training tasks of it, made from a seed and nothing else.
// Equal seeds have to give equal bytes and another seed another policy, a larger set has to begin with the smaller one, and what was written has to be read back as it was. It returns 40 tasks of seed 1 as they were read, to be played.
func TestGenerator(t *testing.T, generate func(t testing.TB, seed uint64, tasks int) (files map[string][]byte, made []Task)) []Task {
	t.Helper()
	dump := func(seed uint64, n int) (policy string, tasks []byte) {
		files, made := generate(t, seed, n)
		if len(made) != n {
			t.Fatalf("%d tasks, want %d", len(made), n)
		}
		var b bytes.Buffer
		for _, name := range slices.Sorted(maps.Keys(files)) {
			b.WriteString(name + "\n")
			b.Write(files[name])
		}
		policy = b.String()
		b.Reset()
		if err := WriteTasks(&b, made); err != nil {
			t.Fatal(err)
		}
		return policy, bytes.Clone(b.Bytes())
	}
	policy, tasks := dump(1, 40)
	again, same := dump(1, 40)
	_, more := dump(1, 60)
	other, _ := dump(2, 40)
	if policy != again || !bytes.Equal(tasks, same) {
		t.Error("the same seed makes other bytes")
	}
	if policy == other {
		t.Error("another seed makes the same policy")
	}
	if !bytes.HasPrefix(more, tasks) {
		t.Error("60 tasks do not begin with the 40")
	}
	read, err := ReadTasks("train.jsonl", bytes.NewReader(tasks))
	if err != nil || len(read) != 40 {
		t.Fatalf("read %d tasks: %v", len(read), err)
	}
	var back bytes.Buffer
	if err := WriteTasks(&back, read); err != nil || !bytes.Equal(back.Bytes(), tasks) {
		t.Errorf("what was read is not what was written: %v", err)
	}
	return read
}
