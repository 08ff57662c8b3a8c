package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/footprint"
)

// Machine is where a run was made. What the system does not tell is empty.
type Machine struct {
	Processor  string `json:"processor"`
	Cores      int    `json:"cores"`       // that the process may use
	Memory     int64  `json:"memory"`      // bytes
	FileSystem string `json:"file_system"` // under the stores
	System     string `json:"system"`      // and its kernel
	Go         string `json:"go"`          // version, system and architecture
	Curve      string `json:"curve"`       // its implementation, with cgo or without
	Commit     string `json:"commit"`      // of Rookery, if the build knows it
}

// String is one line for people.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %d GiB, %s, %s, %s, curve: %s",
		known(m.Processor), m.Cores, gibibytes(m.Memory), known(m.FileSystem), known(m.System), m.Go, m.Curve)
}

func gibibytes(bytes int64) int64 { return (bytes + 1<<29) >> 30 }

func known(text string) string {
	if text == "" {
		return "unknown"
	}
	return text
}

// thisMachine is the one that runs this, with stores in dir.
func thisMachine(dir string) Machine {
	return Machine{
		Processor:  footprint.Model(),
		Cores:      footprint.Processors(),
		Memory:     footprint.Installed(),
		FileSystem: fileSystem(dir),
		System:     strings.TrimSpace(runtime.GOOS + " " + firstLine("/proc/sys/kernel/osrelease")),
		Go:         strings.Join([]string{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}, " "),
		Curve:      curve.Backend,
		Commit:     commit(),
	}
}

func firstLine(path string) string {
	content, err := os.ReadFile(path) //nolint:gosec // of the kernel
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(content), "\n")
	return line
}

// fileSystem is the type of what is mounted where the directory is.
func fileSystem(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	content, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	var at, kind string
	for line := range bytes.Lines(content) {
		fields := strings.Fields(string(line))
		if len(fields) < 3 || len(fields[1]) < len(at) {
			continue
		}
		if under := strings.TrimSuffix(fields[1], "/") + "/"; strings.HasPrefix(dir+"/", under) {
			at, kind = fields[1], fields[2]
		}
	}
	return kind
}

func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var revision, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " (modified)"
		}
	}
	return revision + changed
}
