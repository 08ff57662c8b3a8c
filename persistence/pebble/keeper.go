package pebble

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	// probeFile takes up the space that has to be free before the store writes
	// again, for a moment.
	probeFile  = "SPACE"
	probeBytes = 1 << 20 // written at once
)

// keep lets the store outlive a disk that takes no writes. A database whose
// write was refused is left as a crash would leave it, and another is opened to
// read what is durable; one to write follows when there is space again.
func (s *Store) keep() {
	defer close(s.kept)
	for {
		select {
		case <-s.stop:
			return
		case <-s.now.files.monitor.broken: // now is changed in here alone
		}
		if refusal(s.now.files.monitor.failure()) == nil || !s.fallBack() || !s.resume() {
			return // failed or closed
		}
	}
}

// fallBack goes from a database that cannot write to one that reads. Scans that
// are under way end on the old one: their callbacks may need the new.
func (s *Store) fallBack() bool {
	s.life.Lock()
	old := s.now
	s.now, old.retired = nil, true
	idle := old.calls == 0
	if !idle {
		s.tables.hold() // until the last call ends
	}
	s.life.Unlock()
	old.files.settle()
	s.logs.settle()
	if idle {
		_ = old.db.Close() // its failure was told
	}
	return s.read(old.files.monitor.failure())
}

// read opens the database to read, since the disk has refused a write.
func (s *Store) read(refused error) bool {
	next, err := s.open(reading)
	if err == nil {
		next.refused = refused
	}
	return s.publish(next, err)
}

// resume waits until there is space and opens the database to write. It tells
// false when the store was closed or has failed.
func (s *Store) resume() bool {
	tick := time.NewTicker(s.options.ProbeEvery)
	defer tick.Stop()
	_ = newFiles(s.options.FS, nil).dropRewritten(s.dir) // it takes space; Open drops it, too
	for {
		select {
		case <-s.stop:
			return false
		case <-tick.C:
		}
		if hasSpace(s.options, s.dir) != nil {
			continue
		}
		if !s.takeAway() {
			return false
		}
		next, err := s.open(writing)
		if err == nil {
			s.options.Logger.Info("the disk takes writes again", "dir", s.dir)
			return s.publish(next, nil)
		}
		if refusal(err) == nil {
			return s.publish(nil, err)
		}
		s.logs.settle() // those that it began
		if !s.read(err) {
			return false
		}
	}
}

// takeAway closes the database that reads at a moment when no call is under
// way; those that come wait for the next. It tells false when the store is being
// closed.
func (s *Store) takeAway() bool {
	for {
		s.life.Lock()
		old := s.now
		if old.calls == 0 {
			s.now = nil
			s.life.Unlock()
			_ = old.db.Close() // it has nothing to write
			return true
		}
		s.life.Unlock()
		select {
		case <-s.stop:
			return false
		case <-s.idle:
		}
	}
}

func (s *Store) open(m mode) (*database, error) {
	disk := newFiles(s.options.FS, newMonitor(s.dir, s.options.Logger))
	disk.logs, disk.tables = s.logs, s.tables
	return openDatabase(s.dir, disk, s.options, m)
}

// publish lets the calls that wait go on, with a database or with the error
// that the store ends with.
func (s *Store) publish(next *database, err error) bool {
	s.life.Lock()
	defer s.life.Unlock()
	if err != nil {
		s.options.Logger.Error("store has failed", "dir", s.dir, "error", err)
		s.failure = openError(s.dir, err)
	}
	s.now = next
	close(s.news)
	s.news = make(chan struct{})
	return err == nil
}

// hasSpace tries to write as much as has to be free.
func hasSpace(o Options, dir string) error {
	name := o.FS.PathJoin(dir, probeFile)
	probe, err := o.FS.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// A file system that compresses must not get away with less.
	chunk := make([]byte, min(probeBytes, o.Headroom))
	_, _ = rand.Read(chunk) // it never fails
	for left := o.Headroom; left > 0 && err == nil; left -= int64(len(chunk)) {
		_, err = probe.Write(chunk)
	}
	if err == nil {
		err = probe.Sync()
	}
	return errors.Join(err, probe.Close(), removeProbe(o.FS, dir))
}

// removeProbe removes what a crash has left of the probe.
func removeProbe(disk vfs.FS, dir string) error {
	err := disk.Remove(disk.PathJoin(dir, probeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
