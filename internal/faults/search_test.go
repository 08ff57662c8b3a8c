package faults

import (
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
)

// A sealed value begins with a header: format 1, epoch (4 bytes), sequence
// (8 bytes); the nonce is 4 zero bytes and the sequence.
const (
	sealedHeader = 13
	sealedFormat = 1
	// readAhead is how much behind a header is opened. It is more than the
	// longest value with a key in it.
	readAhead = 1 << 10
	// sequences bound what is taken for a header.
	sequences = 1 << 24
)

// found are the secrets that were found, and what was looked at.
type found struct {
	raw, sealed  map[leakscan.Secret]bool
	files, blobs int
	bytes        int64
}

// search looks for secrets in every file of a disk, as they lie there and behind
// everything that may be the header of a sealed value under a key of the keyring.
// It needs neither the names of records nor their lengths: what is sealed is only
// a stream away from its ciphertext.
func search(t *testing.T, disk vfs.FS, keyFile string, secrets map[leakscan.Secret]string) found {
	t.Helper()
	ring, err := keyring.Open(home+"/keyring", keyring.KeyFile(keyFile), keyring.Options{FS: pebble.Files(disk)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ring.Close() }()
	aeads := make(map[uint32]cipher.AEAD)
	for _, epoch := range ring.Epochs() {
		aeads[epoch.ID], _ = ring.AEAD(epoch.ID)
	}
	n := leakscan.NewNeedles(secrets)
	f := found{raw: make(map[leakscan.Secret]bool), sealed: make(map[leakscan.Secret]bool)}
	for _, file := range filesOf(t, disk) {
		f.files++
		f.bytes += int64(len(file))
		for _, content := range readings(file) {
			n.Find(content, f.raw)
			for i := 0; i+sealedHeader < len(content); i++ {
				if plain := unseal(content[i:], aeads); plain != nil {
					f.blobs++
					n.Find(plain, f.sealed)
				}
			}
		}
	}
	return f
}

// readings are a file as it is, and as the log of the database would be read: in
// blocks of which each but the first begins with the head of a piece, where a
// value may lie across. Heads have either length.
func readings(file []byte) [][]byte {
	const block = 32 << 10
	list := [][]byte{file}
	if len(file) <= block {
		return list
	}
	for _, head := range []int{11, 19} {
		joined := slices.Clone(file[:block])
		for at := block; at < len(file); at += block {
			joined = append(joined, file[min(at+head, len(file)):min(at+block, len(file))]...)
		}
		list = append(list, joined)
	}
	return list
}

// unseal decrypts what is behind a header, without asking whether it is
// authentic. Nil when there is no header.
func unseal(content []byte, aeads map[uint32]cipher.AEAD) []byte {
	if content[0] != sealedFormat {
		return nil
	}
	aead, ok := aeads[binary.BigEndian.Uint32(content[1:])]
	if !ok || binary.BigEndian.Uint64(content[5:]) >= sequences {
		return nil
	}
	nonce := append(make([]byte, 4, 12), content[5:sealedHeader]...)
	rest := content[sealedHeader:]
	plain := make([]byte, min(len(rest), readAhead))
	// Zeros sealed are the stream itself.
	stream := aead.Seal(nil, nonce, plain, nil)
	for i := range plain {
		plain[i] = rest[i] ^ stream[i]
	}
	return plain
}

// filesOf are the contents of all files of a store at one moment, more or less: one
// that was tidied up while the others were read has left what is still in use of it
// in another that came meanwhile, so that all are read again.
func filesOf(t *testing.T, disk vfs.FS) [][]byte {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		contents, err := everyFile(disk, home)
		if err == nil {
			return contents
		}
		if !errors.Is(err, fs.ErrNotExist) || time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// everyFile gives the contents of the files below a directory, fs.ErrNotExist if one
// went away meanwhile.
func everyFile(disk vfs.FS, dir string) (contents [][]byte, err error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = disk.PathJoin(dir, name)
		info, err := disk.Stat(name)
		if err != nil {
			return nil, err
		}
		var all [][]byte
		if info.IsDir() {
			all, err = everyFile(disk, name)
		} else {
			all = make([][]byte, 1)
			all[0], err = contentOf(disk, name)
		}
		if err != nil {
			return nil, err
		}
		contents = append(contents, all...)
	}
	return contents, nil
}

func contentOf(disk vfs.FS, name string) ([]byte, error) {
	file, err := disk.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}
