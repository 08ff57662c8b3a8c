//go:build linux || darwin || freebsd

package footprint

import "golang.org/x/sys/unix"

// Free is how much room a directory's file system has for this user, in bytes; known
// is false where the system does not say.
func Free(dir string) (bytes int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true //nolint:gosec,unconvert // the types differ between systems
}
