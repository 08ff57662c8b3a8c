package footprint

import (
	"io/fs"
	"path/filepath"
)

// Directory is the size of all files of a directory and those below it, in bytes, also
// if it is a link to one. What goes away meanwhile counts nothing.
func Directory(dir string) (size int64) {
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target
	}
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // files of a store in use come and go
		}
		if info, err := entry.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}
