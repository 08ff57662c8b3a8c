package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/rookery-im/rookery/internal/footprint"
)

const (
	// leastFree is the room without which the store soon refuses, in bytes; scarceFree
	// is what a busy one may take within a day.
	leastFree  = 64 << 20
	scarceFree = 1 << 30
	// clockSlack is how far clocks may differ before it is worth a word.
	clockSlack = 2 * time.Minute
)

// examinePlace looks at the files of a store and the room for more.
func (r *doctorResult) examinePlace(dir, keyFile string) {
	open, err := openToOthers(dir)
	switch {
	case err != nil:
		r.fails("directory", err, "it has to be readable by the user that runs this")
	case open != "":
		r.add(diagnosis{
			Severity: failure, About: "directory", What: open + " can be read or changed by others",
			Next: "the store is not opened", Do: "chmod -R go= " + dir,
		})
	default:
		r.add(diagnosis{Severity: fine, About: "directory", What: "it is its user's alone"})
	}
	if inside, err := filepath.Rel(dir, keyFile); keyFile != "" && err == nil && filepath.IsLocal(inside) {
		r.add(diagnosis{
			Severity: warning, About: "key", What: "the key file lies in the directory that it opens: who takes one has both",
			Do: "move it to another disk and give its place with --key-file",
		})
	}
	free, known := footprint.Free(dir)
	if !known {
		return
	}
	room := diagnosis{Severity: fine, About: "disk", What: fmt.Sprintf("%d MiB are free", free>>20)}
	switch {
	case free < leastFree:
		room.Severity, room.Do = failure, "make room; the store goes on by itself"
		room.Next = "what is to be sent is refused, what comes waits with the network"
	case free < scarceFree:
		room.Severity, room.Do = warning, "make room before the store turns to refusing"
	}
	r.add(room)
}

// openToOthers finds what others than the owner may use.
func openToOthers(dir string) (name string, err error) {
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) { // of a store that is in use
				return nil
			}
			return err
		}
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case info.Mode().Perm()&0o077 != 0:
			name = path
			return fs.SkipAll
		}
		return nil
	})
	return name, err
}

// examineClock compares the clock with the files, which it has written itself.
func (r *doctorResult) examineClock(dir string, now time.Time) {
	var newest time.Time
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error { // what cannot be read was told
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // see above
		}
		if info, err := entry.Info(); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return nil
	})
	clock := diagnosis{Severity: fine, About: "clock", What: "it is not behind what was written before"}
	if behind := newest.Sub(now); behind > clockSlack {
		clock.Severity = warning
		clock.What = fmt.Sprintf("it is %v behind what was written before", behind.Truncate(time.Second))
		clock.Next = "bundles that are signed now are older than those that contacts have: they are not taken"
		clock.Do = "set it, and keep it set (NTP)"
	}
	r.add(clock)
}

// some shows the beginning of a list.
func some(list []string) string {
	const most = 5
	shown := list[:min(len(list), most)]
	text := strings.Join(shown, ", ")
	if more := len(list) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
