package keyring

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
)

// Options of a keyring; the zero value is good.
type Options struct {
	FS     cell.FS          // default cell.OS
	Random io.Reader        // default crypto/rand.Reader
	Now    func() time.Time // default time.Now
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = cell.OS
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Keyring is an open keyring. Its methods may be called from any goroutine, and
// those that read do not wait for those that write. One process at a time may
// write: the lock of the store's directory is the caller's to hold, for Create
// too.
//
// A method that returns an error has changed nothing in the keyring as the
// caller sees it; on disk is then what was before or what was asked for. Methods
// that write destroy every older state of the keyring in the file, also what a
// crash has left there. After Close they give persistence.ErrClosed.
type Keyring struct {
	path    string
	options Options
	content atomic.Pointer[content] // nil once closed

	mu     sync.Mutex // for those that write
	cell   *cell.Cell
	header header
	key    *secret.Key // that seals the content
}

// Create makes a keyring with a fresh store id, anchor key and first epoch. It
// is durable before Create returns. fs.ErrExist when there is one; ErrKeyFile,
// ErrEmptyPassphrase, persistence.ErrPermission. Without randomness it makes no
// file.
func Create(path string, p Protector, o Options) (*Keyring, error) {
	k := &Keyring{path: path, options: o.withDefaults()}
	if err := k.create(p); err != nil {
		return nil, k.failed("create", err)
	}
	return k, nil
}

func (k *Keyring) create(p Protector) (err error) {
	made := &content{}
	defer func() {
		if err != nil {
			made.wipe()
		}
	}()
	random := k.options.Random
	if err := randomness(random, made.store[:]); err != nil {
		return err
	}
	anchor, err := secret.ReadKey(random)
	if err != nil {
		return err
	}
	made.anchor = &anchor
	first, err := drawEpoch(1, k.options.Now(), random)
	if err != nil {
		return err
	}
	made.epochs = []*epoch{first}
	nonce, err := drawNonce(random)
	if err != nil {
		return err
	}
	// Last, since it may make a file.
	h, key, err := p.protect(random)
	if err != nil {
		return err
	}
	value, err := seal(&h, &key, nonce, made)
	if err == nil {
		k.cell, err = cell.Create(k.options.FS, k.path, value)
	}
	if err != nil {
		key.Wipe()
		return err
	}
	k.header, k.key = h, &key
	k.content.Store(made)
	return nil
}

// Open opens a keyring; it only reads. fs.ErrNotExist when there is none,
// ErrWrongKey, ErrKeyFile, persistence.ErrCorrupt, persistence.ErrNewerFormat,
// persistence.ErrPermission when others may read the keyring or the key file.
// With a passphrase it takes about a tenth of a second and 64 MiB.
func Open(path string, p Protector, o Options) (*Keyring, error) {
	k := &Keyring{path: path, options: o.withDefaults()}
	if err := k.open(p); err != nil {
		return nil, k.failed("open", err)
	}
	return k, nil
}

func (k *Keyring) open(p Protector) error {
	opened, value, err := cell.Open(k.options.FS, k.path)
	if err != nil {
		return err
	}
	h, err := decodeHeader(value)
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	key, err := p.unlock(h)
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	found, err := unseal(value, &key)
	if err != nil {
		key.Wipe()
		return errors.Join(err, opened.Close())
	}
	k.cell, k.header, k.key = opened, h, &key
	k.content.Store(found)
	return nil
}

// Reload reads the keyring again with the key that opened it: for who has opened
// it before the directory was locked. ErrWrongKey when the protector was changed
// meanwhile, else as Open.
func (k *Keyring) Reload() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.reload(); err != nil {
		return k.failed("reload", err)
	}
	return nil
}

func (k *Keyring) reload() error {
	before := k.content.Load()
	if before == nil {
		return persistence.ErrClosed
	}
	opened, value, err := cell.Open(k.options.FS, k.path)
	if err != nil {
		return err
	}
	var found *content
	if _, err = decodeHeader(value); err == nil {
		found, err = unseal(value, k.key)
	}
	if err == nil {
		err = k.cell.Close()
	}
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	k.cell = opened
	k.content.Store(found)
	before.wipe()
	return nil
}

// StoreID is the random id that the store was given when it was made.
func (k *Keyring) StoreID() [16]byte {
	if c := k.content.Load(); c != nil {
		return c.store
	}
	return [16]byte{}
}

// AnchorKey is the key that authenticates the anchor. It never changes. The copy
// is the caller's to wipe.
func (k *Keyring) AnchorKey() secret.Key {
	k.mu.Lock() // so that nobody wipes it meanwhile
	defer k.mu.Unlock()
	if c := k.content.Load(); c != nil {
		return *c.anchor
	}
	return secret.Key{}
}

// AEAD is AES-256-GCM under the key of an epoch, or false when there is no such
// epoch (any more). It may be used by any number of goroutines.
func (k *Keyring) AEAD(id uint32) (cipher.AEAD, bool) {
	if c := k.content.Load(); c != nil {
		for _, e := range c.epochs {
			if e.ID == id {
				return e.aead, true
			}
		}
	}
	return nil, false
}

// Current is the newest epoch.
func (k *Keyring) Current() Epoch {
	if c := k.content.Load(); c != nil {
		return c.current()
	}
	return Epoch{}
}

// Epochs lists the epochs that there are keys for, oldest first.
func (k *Keyring) Epochs() []Epoch {
	c := k.content.Load()
	if c == nil {
		return nil
	}
	list := make([]Epoch, len(c.epochs))
	for i, e := range c.epochs {
		list[i] = e.Epoch
	}
	return list
}

// Begin adds an epoch with a fresh key, which is current from then on and
// durable before Begin returns. ErrTooManyEpochs when there are MaxEpochs.
func (k *Keyring) Begin() (Epoch, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	begun, err := k.begin()
	if err != nil {
		return Epoch{}, k.failed("begin an epoch of", err)
	}
	return begun, nil
}

func (k *Keyring) begin() (Epoch, error) {
	c := k.content.Load()
	switch {
	case c == nil:
		return Epoch{}, persistence.ErrClosed
	case len(c.epochs) >= MaxEpochs, c.current().ID == math.MaxUint32:
		return Epoch{}, ErrTooManyEpochs
	}
	nonce, err := drawNonce(k.options.Random)
	if err != nil {
		return Epoch{}, err
	}
	begun, err := drawEpoch(c.current().ID+1, k.options.Now(), k.options.Random)
	if err != nil {
		return Epoch{}, err
	}
	next := &content{store: c.store, anchor: c.anchor, epochs: append(slices.Clone(c.epochs), begun)}
	if err := k.write(&k.header, k.key, nonce, next); err != nil {
		begun.key.Wipe()
		return Epoch{}, err
	}
	k.content.Store(next)
	return begun.Epoch, nil
}

// Retire destroys the keys of all epochs before keep: when it returns nil they
// are in no byte of the file, and wiped in memory. ErrNoEpoch when that would be
// the current one too.
func (k *Keyring) Retire(keep uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.retire(keep); err != nil {
		return k.failed("retire epochs of", err)
	}
	return nil
}

func (k *Keyring) retire(keep uint32) error {
	c := k.content.Load()
	switch {
	case c == nil:
		return persistence.ErrClosed
	case keep > c.current().ID:
		return ErrNoEpoch
	}
	first := slices.IndexFunc(c.epochs, func(e *epoch) bool { return e.ID >= keep })
	if first == 0 {
		return k.cell.Destroy() // of what an earlier try or a crash has left
	}
	nonce, err := drawNonce(k.options.Random)
	if err != nil {
		return err
	}
	next := &content{store: c.store, anchor: c.anchor, epochs: slices.Clone(c.epochs[first:])}
	if err := k.write(&k.header, k.key, nonce, next); err != nil {
		return err
	}
	k.content.Store(next)
	for _, e := range c.epochs[:first] {
		e.key.Wipe()
	}
	return nil
}

// SetProtector seals the keyring under another passphrase or key file: when it
// returns nil the one before opens nothing any more, and what it opened is in no
// byte of the file. Errors as those of Create.
func (k *Keyring) SetProtector(p Protector) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.setProtector(p); err != nil {
		return k.failed("change the protector of", err)
	}
	return nil
}

func (k *Keyring) setProtector(p Protector) error {
	c := k.content.Load()
	if c == nil {
		return persistence.ErrClosed
	}
	nonce, err := drawNonce(k.options.Random)
	if err != nil {
		return err
	}
	// Last, since it may make a file.
	h, key, err := p.protect(k.options.Random)
	if err != nil {
		return err
	}
	if err := k.write(&h, &key, nonce, c); err != nil {
		key.Wipe()
		return err
	}
	k.key.Wipe()
	k.header, k.key = h, &key
	return nil
}

// write makes c the content on disk, and the only one.
func (k *Keyring) write(h *header, key *secret.Key, nonce [nonceBytes]byte, c *content) error {
	value, err := seal(h, key, nonce, c)
	if err != nil {
		return err
	}
	if err := k.cell.Replace(value); err != nil {
		return err
	}
	// Also when nothing was retired: an older state that is found when the newer
	// one is damaged would pass for the present one.
	return k.cell.Destroy()
}

// Close wipes the keys and closes the file. Closing twice is fine.
func (k *Keyring) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.content.Swap(nil)
	if c == nil {
		return nil
	}
	c.wipe()
	k.key.Wipe()
	if err := k.cell.Close(); err != nil {
		return k.failed("close", err)
	}
	return nil
}

// Format prints the path alone, whatever the verb.
func (k *Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[keyring "+k.path+"]") }

// LogValue logs the path alone.
func (k *Keyring) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

func (k *Keyring) failed(doing string, err error) error {
	return fmt.Errorf("%s keyring %s: %w", doing, k.path, err)
}
