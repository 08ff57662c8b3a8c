package footprint

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Memory reads the resident set of this process in bytes, or what the Go runtime
// has from the system where the system does not tell. It may be called often.
func Memory() int64 {
	if size, ok := kibibytes("/proc/self/status", "VmRSS:"); ok {
		return size
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys) //nolint:gosec // no machine has 2^63 bytes
}

// Installed is the memory of the machine in bytes, 0 where the system does not tell.
func Installed() int64 {
	size, _ := kibibytes("/proc/meminfo", "MemTotal:")
	return size
}

// kibibytes reads a size from a file of the system, in bytes.
func kibibytes(path, name string) (int64, bool) {
	text, err := os.ReadFile(path) //nolint:gosec // one of the two above
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib * 1024, err == nil
		}
	}
	return 0, false
}
