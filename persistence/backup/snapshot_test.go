package backup_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// TestBackupDuringTrafficIsOnePointOfTime: records that only ever change
// together are alike in every backup, wherever in the store they stand and
// however many commits go by while it is written, and if the keys that they were
// sealed under are destroyed meanwhile.
func TestBackupDuringTrafficIsOnePointOfTime(t *testing.T) {
	for what, open := range map[string]func(dir string) (persistence.Store, error){
		"memory": func(string) (persistence.Store, error) { return memory.New(), nil },
		"sealed": func(dir string) (persistence.Store, error) {
			return sealing.Open(context.Background(), sealing.Options{
				Dir: dir, Protector: keyring.KeyFile(filepath.Join(dir, "key")), Bound: -1,
				Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
			})
		},
		"pebble": func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
	} {
		t.Run(what, func(t *testing.T) {
			store, err := open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}()
			count(t, store, 0)
			var commits atomic.Uint64
			stop, stopped := make(chan struct{}), make(chan struct{})
			end := sync.OnceFunc(func() { close(stop); <-stopped })
			defer end()
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
						count(t, store, commits.Load()+1)
						commits.Add(1)
					}
				}
			}()
			to, of := keys(t)
			last := uint64(0)
			for i := range 3 {
				out := slow{step: func() {
					oneMore(t, &commits)
					if sealed, ok := store.(*sealing.Store); ok {
						if err := sealed.Rotate(t.Context()); err != nil {
							t.Error(err)
						}
					}
				}}
				if _, err := backup.Write(t.Context(), store, &out, to); err != nil {
					t.Fatal(err)
				}
				restored := newTarget()
				if _, err := backup.Restore(t.Context(), &out, restored, of); err != nil {
					t.Fatal(err)
				}
				n := at(t, restored)
				if n < last {
					t.Errorf("backup %d is of commit %d, the one before it of %d", i, n, last)
				}
				last = n
			}
			end()
			if now := at(t, store); now < last || last == 0 {
				t.Errorf("the store is at commit %d, its backup at %d", now, last)
			}
		})
	}
}

const (
	together = 200
	filling  = 4 << 10 // the backup is written in several pieces
)

// count sets all records to n in one batch.
func count(t *testing.T, store persistence.Store, n uint64) {
	t.Helper()
	var batch persistence.Batch
	for i := range together {
		kind := persistence.KindIdentity + persistence.Kind(i%8)
		value := binary.BigEndian.AppendUint64(make([]byte, 0, filling), n)
		batch.Records = append(batch.Records, persistence.Record{Name: name(kind, fmt.Sprint(i)), Value: value[:filling]})
	}
	if err := store.Apply(t.Context(), batch); err != nil {
		t.Error(err)
	}
}

// at gives the number that all records of a store have.
func at(t *testing.T, store persistence.Store) uint64 {
	t.Helper()
	seen := make(map[uint64]int)
	var n uint64
	err := store.Scan(t.Context(), "", func(_ persistence.Name, value []byte) error {
		n = binary.BigEndian.Uint64(value)
		seen[n]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen[n] != together {
		t.Fatalf("records of several commits: %v", seen)
	}
	return n
}

// oneMore waits until another commit has gone by.
func oneMore(t *testing.T, commits *atomic.Uint64) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for from := commits.Load(); commits.Load() == from; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no commit while a backup is written")
		}
	}
}

// slow does something between the pieces that it is given.
type slow struct {
	bytes.Buffer
	step func()
}

func (s *slow) Write(p []byte) (int, error) {
	s.step()
	return s.Buffer.Write(p)
}
