package keyring

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence/cell"
)

// A key file is one of the operating system's and only read: it may lie on a
// medium that cannot be written.

// readKeyFile gives the key in a file. ErrKeyFile, persistence.ErrPermission.
// That the file is missing is not fs.ErrNotExist, which says that there is no
// keyring yet.
func readKeyFile(path string) (secret.Key, error) {
	// A pipe would keep the caller waiting.
	if info, err := os.Stat(path); err != nil {
		return secret.Key{}, fmt.Errorf("%w: %v", ErrKeyFile, err) //nolint:errorlint // see above
	} else if !info.Mode().IsRegular() {
		return secret.Key{}, fmt.Errorf("%w: %s is not a regular file", ErrKeyFile, path)
	}
	file, err := os.Open(path) //nolint:gosec // the name is the caller's to choose
	if err != nil {
		return secret.Key{}, fmt.Errorf("%w: %v", ErrKeyFile, err) //nolint:errorlint // see above
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := cell.CheckPrivate(file); err != nil {
		return secret.Key{}, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	const longest = 2*secret.KeySize + 2 // with "\r\n"
	text, err := io.ReadAll(io.LimitReader(file, longest+1))
	defer clear(text)
	if err != nil {
		return secret.Key{}, fmt.Errorf("%w: %w", ErrKeyFile, err)
	}
	key, err := parseKeyFile(text)
	if err != nil {
		return secret.Key{}, fmt.Errorf("%w: %s is not %d hexadecimal digits on one line", ErrKeyFile, path, 2*secret.KeySize)
	}
	return key, nil
}

var errKeyText = errors.New("not the text of a key")

func parseKeyFile(text []byte) (secret.Key, error) {
	digits := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	b, err := hex.DecodeString(digits)
	if err != nil {
		return secret.Key{}, errKeyText // that of package hex shows a part
	}
	key, err := take(b)
	if err != nil || key.IsZero() {
		return secret.Key{}, errKeyText
	}
	return key, nil
}

// makeKeyFile makes a key file unless there is one. It is whole and durable
// before it has its name, and it never takes the place of another: a link, unlike
// a rename, fails when the name is taken.
func makeKeyFile(path string, random io.Reader) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // reading it tells more
	}
	key, err := secret.ReadKey(random)
	if err != nil {
		return err
	}
	defer key.Wipe()
	if err := linkKeyFile(path, &key); err != nil {
		return fmt.Errorf("%w: make %s: %v", ErrKeyFile, path, err) //nolint:errorlint // a missing directory is not a missing keyring
	}
	return nil
}

func linkKeyFile(path string, key *secret.Key) error {
	dir := filepath.Dir(path)
	made, err := os.CreateTemp(dir, filepath.Base(path)+".*.new")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(made.Name()) }() // another name of the same file by then
	text := hex.AppendEncode(make([]byte, 0, 2*secret.KeySize+1), key.Bytes())
	text = append(text, '\n')
	defer clear(text)
	err = made.Chmod(0o600) // whatever the umask
	if err == nil {
		_, err = made.Write(text)
	}
	if err == nil {
		err = made.Sync()
	}
	if err := errors.Join(err, made.Close()); err != nil {
		return err
	}
	if err := os.Link(made.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return cell.OS.SyncDir(dir)
}
