package cell

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// syncData leaves out the times of the file, which a cell does not need and a
// journal would have to write each time.
func syncData(f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		for {
			failed = unix.Fdatasync(int(fd))
			if !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("fdatasync %s: %w", f.Name(), failed)
	}
	return nil
}
