package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionCmd is `proviso version`.
type versionCmd struct{}

// build is what the binary knows of itself.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" {
		b.Version = v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Run prints the version.
func (versionCmd) Run(a *app) error {
	if err := a.plainOnly(); err != nil {
		return err
	}
	v := readBuild()
	if a.output == "json" {
		return a.printJSON(v)
	}
	line := "proviso " + v.Version
	if v.Revision != "" {
		line += " " + v.Revision[:min(12, len(v.Revision))]
		if v.Modified {
			line += "+"
		}
	}
	if _, err := fmt.Fprintf(a.stdout, "%s %s %s\n", line, v.Go, v.Platform); err != nil {
		return unwritable("standard output", err)
	}
	return nil
}
