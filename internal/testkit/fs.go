package testkit

import "testing/fstest"

// FS is a file system of these contents by their names, slash-separated, such as pack.Load reads. It keeps the contents.
func FS(files map[string][]byte) fstest.MapFS {
	out := fstest.MapFS{}
	for name, b := range files {
		out[name] = &fstest.MapFile{Data: b}
	}
	return out
}
