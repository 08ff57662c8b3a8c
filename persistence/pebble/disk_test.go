package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// small makes tables and logs turn over within a test.
func small(fs vfs.FS) pebble.Options {
	return pebble.Options{FS: fs, MemTableBytes: 64 << 10, CacheBytes: 1 << 20}
}

func shut(t *testing.T, store *pebble.Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func numbered(i int) persistence.Name {
	return persistence.NewName(persistence.KindSession, fmt.Appendf(nil, "%06d", i))
}

// pair is batch i: two records that tell its number, one of them written over by
// every batch.
func pair(i int) persistence.Batch {
	value := fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 200))
	return persistence.Batch{Records: []persistence.Record{
		{Name: numbered(i), Value: value},
		{Name: persistence.NewName(persistence.KindIdentity), Value: value},
	}}
}

// survivors checks what pairs there are: all up to a number that is at least
// acknowledged and at most attempted, whole, and nothing else.
func survivors(ctx context.Context, store persistence.Store, acknowledged, attempted int) error {
	count := 0
	err := store.Scan(ctx, persistence.NewName(persistence.KindSession), func(name persistence.Name, value []byte) error {
		if want := pair(count).Records[0]; name != want.Name || string(value) != string(want.Value) {
			return fmt.Errorf("record %d is %s = %.12q", count, name, value)
		}
		count++
		return nil
	})
	if err != nil {
		return err
	}
	if count < acknowledged || count > attempted {
		return fmt.Errorf("%d batches are there, of %d acknowledged and %d attempted", count, acknowledged, attempted)
	}
	if count == 0 {
		return nil
	}
	last, err := store.Get(ctx, persistence.NewName(persistence.KindIdentity))
	if err != nil || string(last) != string(pair(count - 1).Records[1].Value) {
		return fmt.Errorf("half of batch %d: the other record is %.12q, %w", count-1, last, err)
	}
	return nil
}

func newestLog(t *testing.T, disk vfs.FS) string {
	t.Helper()
	names, err := disk.List("store")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	for _, name := range names {
		if strings.HasSuffix(name, ".log") {
			newest = max(newest, name)
		}
	}
	return path.Join("store", newest)
}

func contentOf(t *testing.T, disk vfs.FS, name string) []byte {
	t.Helper()
	file, err := disk.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

func replace(t *testing.T, disk vfs.FS, name string, content []byte) {
	t.Helper()
	file, err := disk.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}
