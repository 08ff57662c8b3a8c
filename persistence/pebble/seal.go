package pebble

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/atomicfs"

	"github.com/rookery-im/rookery/persistence"
)

// The seal is a file that a store leaves when it is closed and takes away when
// it is opened. It lists the SHA-256 of Pebble's files but for the tables, which
// carry checksums of their own that Pebble insists on. Pebble reads a damaged
// record in the last block of a log, or anywhere in a manifest, as the end of
// what was written, and goes on with an older state: with the seal that is
// corruption. After a crash there is no seal.
const sealFile = "CLOSED"

// sealed lists the files that the seal speaks for, in order. Of the manifests
// that is the present one: the end of an older one may never have been synced.
func (f *files) sealed(dir string) ([]string, error) {
	names, err := f.List(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := atomicfs.ReadMarker(f, dir, "manifest")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		return name != manifest && !isLog(name) && !strings.HasPrefix(name, "OPTIONS-") && !strings.HasPrefix(name, "marker.")
	}), nil
}

// seal writes the seal of a closed database. The caller still holds the lock.
func (f *files) seal(dir string) error {
	// The seal must not outlive what it speaks for: what Pebble has removed last
	// is not to come back, and what was written is to stay.
	if err := f.syncSealed(dir); err != nil {
		return err
	}
	text, err := f.sealText(dir)
	if err != nil {
		return err
	}
	name := f.PathJoin(dir, sealFile)
	err = f.put(name+".new", text)
	if err == nil {
		err = f.Rename(name+".new", name)
	}
	if err == nil {
		err = f.syncDir(dir)
	}
	return errors.Join(err, f.monitor.failure())
}

// syncSealed makes the files of the seal durable, with their names.
func (f *files) syncSealed(dir string) error {
	names, err := f.sealed(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		opened, err := f.FS.OpenReadWrite(f.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if err := errors.Join(opened.Sync(), opened.Close()); err != nil {
			return err
		}
	}
	return f.syncDir(dir)
}

// unseal removes the seal, if there is one: from here on the files change.
func (f *files) unseal(dir string) error {
	err := f.FS.Remove(f.PathJoin(dir, sealFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.syncDir(dir)
}

// checkSeal checks the directory against its seal, if it has one.
func (f *files) checkSeal(dir string) error {
	var want bytes.Buffer
	err := f.copyTo(&want, f.PathJoin(dir, sealFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	got, err := f.sealText(dir)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want.Bytes()) {
		return fmt.Errorf("%w: %s", persistence.ErrCorrupt, firstDifference(want.String(), string(got)))
	}
	return nil
}

// sealText lists the files as they are, a line for each with its sum and name.
func (f *files) sealText(dir string) ([]byte, error) {
	names, err := f.sealed(dir)
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, name := range names {
		sum := sha256.New()
		if err := f.copyTo(sum, f.PathJoin(dir, name)); err != nil {
			return nil, err
		}
		text = fmt.Appendf(text, "%x %s\n", sum.Sum(nil), name)
	}
	return text, nil
}

// firstDifference says which file does not match, for the error.
func firstDifference(want, got string) string {
	for line := range strings.Lines(want) {
		if _, name, found := strings.Cut(strings.TrimSpace(line), " "); found && !strings.Contains(got, line) {
			return fmt.Sprintf("file %q is not as the store was closed", name)
		}
	}
	return "there are files that the store was closed without"
}

func (f *files) copyTo(to io.Writer, name string) error {
	opened, err := f.FS.Open(name, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, opened)
	return errors.Join(err, opened.Close())
}

// put writes a file, to stay once its directory is synced.
func (f *files) put(name string, content []byte) error {
	created, err := f.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = created.Write(content)
	if err == nil {
		err = created.Sync()
	}
	return errors.Join(err, created.Close())
}
