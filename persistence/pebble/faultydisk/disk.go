package faultydisk

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Disk asks its injector before every operation, those on logs that are used again too:
// errorfs lets their writes pass. Any number of goroutines may use it.
type Disk struct {
	*errorfs.FS
	injector errorfs.Injector
}

// New makes a disk of what is below.
func New(below vfs.FS, injector errorfs.Injector) Disk {
	return Disk{errorfs.Wrap(renaming{below}, injector), injector}
}

// ReuseForWrite implements vfs.FS.
func (d Disk) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := d.FS.ReuseForWrite(oldname, newname, category)
	if err != nil {
		return nil, err
	}
	return errorfs.WrapFile(file, d.injector), nil
}

// renaming uses a file again in two steps. vfs.MemFS does it in one, for which it locks
// out CrashClone twice, one time within the other: if a clone is asked for between the
// two, both wait for ever.
type renaming struct{ vfs.FS }

// ReuseForWrite implements vfs.FS.
func (r renaming) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := r.Rename(oldname, newname); err != nil {
		return nil, err
	}
	return r.OpenReadWrite(newname, category)
}
