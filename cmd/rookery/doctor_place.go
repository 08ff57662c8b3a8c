package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	// leastFree is the room without which the store soon refuses, in bytes; scarceFree
	// is what a busy one may take within a day.
	leastFree  = 64 << 20
	scarceFree = 1 << 30
	// clockSlack is how far clocks may differ before it is worth a word.
	clockSlack = 2 * time.Minute
)

// surroundings are what a store lies in, as the machine shows them.
type surroundings struct {
	now  time.Time
	free func(dir string) (bytes int64, known bool)
}

// examinePlace looks at the files of a store, at what opens it, and at the room for more.
func (r *doctorResult) examinePlace(dir string, with opener, on surroundings) {
	places := directories(dir)
	r.examineModes(places, with.Anchor)
	if file := with.file(); file != "" && slices.ContainsFunc(places, func(place string) bool { return below(place, resolved(file)) }) {
		r.add(diagnosis{
			Severity: warning, About: "key", What: "the file that opens the store lies in it: who takes one has both",
			Do: "move it to another disk and give its place with --key-file or --passphrase-file, or in ROOKERY_KEY_FILE",
		})
	}
	least := int64(math.MaxInt64)
	for _, place := range places {
		if free, known := on.free(place); known {
			least = min(least, free)
		}
	}
	if least == math.MaxInt64 { // the system does not say
		return
	}
	room := diagnosis{Severity: fine, About: "disk", What: fmt.Sprintf("%d MiB are free", least>>20)}
	switch {
	case least < leastFree:
		room.Severity, room.Do = failure, "make room; the store goes on by itself"
		room.Next = "what is to be sent is refused, what comes waits with the network"
	case least < scarceFree:
		room.Severity, room.Do = warning, "make room before the store turns to refusing"
	}
	r.add(room)
}

// directories are where a store really lies: its own, and that of its records if a link
// leads elsewhere.
func directories(dir string) []string {
	own := resolved(dir)
	if records := resolved(filepath.Join(own, "records")); !below(own, records) {
		return []string{own, records}
	}
	return []string{own}
}

// resolved is where a path leads; itself, absolute, if that cannot be told.
func resolved(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return path
}

// below tells whether a path lies in a directory. Both are resolved.
func below(dir, path string) bool {
	inside, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(inside)
}

// examineModes looks at what others than the store's user may use: an error is what
// opening refuses, the rest is behind a directory that only its user enters.
func (r *doctorResult) examineModes(places []string, anchor string) {
	if runtime.GOOS == "windows" { // has no such modes
		return
	}
	own := places[0]
	refused, err := openToOthers(
		own, filepath.Join(own, "records"), filepath.Join(own, "keyring"), cmp.Or(anchor, filepath.Join(own, "anchor")),
	)
	switch {
	case err != nil:
		r.fails("directory", err, "it has to be readable by the user that runs this")
		return
	case len(refused) > 0:
		r.add(diagnosis{
			Severity: failure, About: "directory", What: some(refused) + " can be read or changed by others",
			Next: "the store is not opened", Do: "chmod go= " + strings.Join(refused, " "),
		})
		return
	}
	r.add(diagnosis{Severity: fine, About: "directory", What: "it is its user's alone"})
	if loose := looseFiles(places); len(loose) > 0 {
		r.add(diagnosis{
			Severity: note, About: "directory", What: fmt.Sprintf("%d files in it could be read or changed by others, if the directory let them in: %s", len(loose), some(loose)),
			Next: "the store is opened all the same", Do: "chmod -R go= " + strings.Join(places, " "),
		})
	}
}

// openToOthers are those files that others than their user may use. What is missing is
// told by who opens it.
func openToOthers(files ...string) (open []string, err error) {
	for _, file := range files {
		info, err := os.Stat(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, err
		case info.Mode().Perm()&0o077 != 0:
			open = append(open, file)
		}
	}
	return open, nil
}

// looseFiles are all files with such modes. Links have none that mean anything.
func looseFiles(places []string) (loose []string) {
	walkFiles(places, func(path string, info fs.FileInfo) {
		if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o077 != 0 {
			loose = append(loose, path)
		}
	})
	return loose
}

// walkFiles shows all that is not a directory, as far as it can be looked at: files of a
// store in use come and go.
func walkFiles(places []string, show func(path string, info fs.FileInfo)) {
	for _, place := range places {
		_ = filepath.WalkDir(place, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return nil //nolint:nilerr // see above
			}
			if info, err := entry.Info(); err == nil {
				show(path, info)
			}
			return nil
		})
	}
}

// examineClock compares the clock with the files, which it has written itself.
func (r *doctorResult) examineClock(dir string, now time.Time) {
	var newest time.Time
	walkFiles(directories(dir), func(_ string, info fs.FileInfo) {
		if info.ModTime().After(newest) {
			newest = info.ModTime()
		}
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
