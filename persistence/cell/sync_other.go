//go:build !linux

package cell

import "os"

func syncData(f *os.File) error { return f.Sync() }
