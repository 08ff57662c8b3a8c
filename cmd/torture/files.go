package main

import "github.com/rookery-im/rookery/persistence/cell"

// hookedFiles are the operating system's files with a hook before each change of
// a keyring or an anchor. Before that of the anchor is also after the records.
type hookedFiles struct {
	cell.FS
	trap *trap
}

type hookedFile struct {
	cell.File
	trap *trap
}

// Open implements cell.FS.
func (f hookedFiles) Open(name string) (cell.File, error) { return f.hooked(f.FS.Open(name)) }

// Create implements cell.FS.
func (f hookedFiles) Create(name string) (cell.File, error) {
	f.trap.pass(beforeCell)
	return f.hooked(f.FS.Create(name))
}

func (f hookedFiles) hooked(file cell.File, err error) (cell.File, error) {
	if err != nil {
		return nil, err
	}
	return hookedFile{file, f.trap}, nil
}

// Rename implements cell.FS.
func (f hookedFiles) Rename(from, to string) error {
	f.trap.pass(beforeCell)
	return f.FS.Rename(from, to)
}

// WriteAt implements cell.File.
func (f hookedFile) WriteAt(b []byte, at int64) (int, error) {
	f.trap.pass(beforeCell)
	return f.File.WriteAt(b, at)
}
