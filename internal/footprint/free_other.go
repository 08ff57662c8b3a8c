//go:build !(linux || darwin || freebsd)

package footprint

// Free is how much room a directory's file system has for this user, in bytes; known
// is false where the system does not say.
func Free(string) (bytes int64, known bool) { return 0, false }
