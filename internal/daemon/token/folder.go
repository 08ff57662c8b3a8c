package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	suffix = ".json"
	// maxFile is how long a file of a token may be, in bytes.
	maxFile = 4 << 10
)

// ErrPermission: others may read the tokens.
var ErrPermission = errors.New("others may read it")

// Folder is where tokens are kept. Processes may use it at the same time: what one
// makes or revokes counts for the others from their next Check. Safe for concurrent
// use.
type Folder struct{ dir string }

// Of gives the folder of the tokens for the store in a directory. It is made with the
// first token.
func Of(store string) Folder { return Folder{filepath.Join(store, "tokens")} }

// Create makes a token and gives its text, which is kept nowhere. Of t, Admin, Identity
// and Expires count. ErrScope.
func (f Folder) Create(t Token, now time.Time) (Token, string, error) {
	if t.Admin == (t.Identity != "") {
		return Token{}, "", ErrScope
	}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return Token{}, "", fmt.Errorf("tokens: %w", err)
	}
	id, text := draw()
	t.ID, t.Created, t.Expires = id, now.UTC().Truncate(time.Second), t.Expires.UTC().Truncate(time.Second)
	content, err := json.MarshalIndent(kept{t, hash(text)}, "", "  ")
	if err != nil {
		return Token{}, "", fmt.Errorf("tokens: %w", err)
	}
	if err := f.write(id, append(content, '\n')); err != nil {
		return Token{}, "", fmt.Errorf("tokens: %w", err)
	}
	return t, text, nil
}

// write has the file there as a whole, for its user alone.
func (f Folder) write(id string, content []byte) error {
	file, err := os.CreateTemp(f.dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), f.path(id))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

func (f Folder) path(id string) string { return filepath.Join(f.dir, id+suffix) }

func (f Folder) read(id string) (kept, error) {
	path := f.path(id)
	file, err := os.Open(path) //nolint:gosec // in our folder, of a checked id
	if err != nil {
		return kept{}, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()            // of what is read, whatever the name means by now
	if err != nil {
		return kept{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return kept{}, fmt.Errorf("%s: %w", path, ErrPermission)
	}
	decoder := json.NewDecoder(io.LimitReader(file, maxFile))
	decoder.DisallowUnknownFields()
	var k kept
	if err := decoder.Decode(&k); err != nil || k.ID != id || k.Admin == (k.Identity != "") {
		return kept{}, fmt.Errorf("%s: it is no token of this release", path)
	}
	return k, nil
}

// Check gives the token of a text. ErrUnknown, ErrExpired; other errors are of the
// disk, and say nothing about the text.
func (f Folder) Check(text string, now time.Time) (Token, error) {
	parts := form.FindStringSubmatch(text)
	if parts == nil {
		return Token{}, ErrUnknown
	}
	k, err := f.read(parts[1])
	if errors.Is(err, fs.ErrNotExist) {
		return Token{}, ErrUnknown
	}
	if err != nil {
		return Token{}, fmt.Errorf("tokens: %w", err)
	}
	return k.Token, k.check(text, now)
}

// Still tells whether a token that was checked before is good at that moment.
func (f Folder) Still(t Token, now time.Time) error {
	k, err := f.read(t.ID)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrUnknown
	case err != nil:
		return fmt.Errorf("tokens: %w", err)
	case k.Admin != t.Admin || k.Identity != t.Identity:
		return ErrUnknown // it is for something else now
	case k.Expired(now):
		return ErrExpired
	}
	return nil
}

// List gives all tokens, the oldest first, those that have expired too.
func (f Folder) List() ([]Token, error) {
	entries, err := os.ReadDir(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	var all []Token
	for _, e := range entries {
		id, isToken := strings.CutSuffix(e.Name(), suffix)
		if !isToken || !idForm.MatchString(id) {
			continue
		}
		k, err := f.read(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // revoked meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("tokens: %w", err)
		}
		all = append(all, k.Token)
	}
	slices.SortFunc(all, func(a, b Token) int { return a.Created.Compare(b.Created) })
	return all, nil
}

// Revoke deletes a token by its id. ErrUnknown.
func (f Folder) Revoke(id string) error {
	if !idForm.MatchString(id) {
		return ErrUnknown
	}
	err := os.Remove(f.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return ErrUnknown
	}
	return err
}
