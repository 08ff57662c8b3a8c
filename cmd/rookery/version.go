package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/rookery-im/rookery/internal/curve"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version = "development"

// VersionCmd prints version, commit, Go release and curve implementation.
type VersionCmd struct{}

// Run implements kong's command.
func (VersionCmd) Run(out *output) error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		var modified string
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				commit = s.Value
			case "vcs.modified":
				if s.Value == "true" {
					modified = " (modified)"
				}
			}
		}
		commit += modified
	}
	_, err := fmt.Fprintf(out.stdout, "rookery %s\ncommit  %s\ngo      %s %s/%s\ncurve   %s\n",
		version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, curve.Backend)
	return err
}
