package footprint

import (
	"os"
	"runtime"
	"strings"
)

// Processors is how many processors of the machine this process can keep busy. Go may
// have been given more.
func Processors() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }

// Model is the name of the processor, "" where the system does not tell.
func Model() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
