package sealing_test

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"maps"
	"sync"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// The layout of a sealed value and its nonce, as docs/adr/0013 has them.
const (
	epochAt, sequenceAt, sealedAt = 1, 5, 13
	nonceBytes                    = 12
)

// blob is a sealed value with its record's name.
type blob struct {
	name   persistence.Name
	sealed string
}

// unseal opens a blob as anybody can who has the key.
func (b blob) unseal(aead cipher.AEAD) ([]byte, error) {
	nonce := make([]byte, nonceBytes)
	copy(nonce[4:], b.sealed[sequenceAt:sealedAt])
	return aead.Open(nil, nonce, []byte(b.sealed[sealedAt:]), []byte(b.sealed[:sealedAt]+string(b.name)))
}

// use is one use of a nonce: of a key, by what it makes of nothing, and a sequence.
type use struct {
	key      string
	sequence uint64
}

// witness sees every value that any of its stores hands to the one below it,
// also those that never get there. It can make batches fail, before or after
// they are written. Safe for any number of goroutines.
type witness struct {
	t    testing.TB
	mu   sync.Mutex
	uses map[use]blob
	fail func() (before, after bool)
}

func newWitness(t testing.TB) *witness { return &witness{t: t, uses: make(map[use]blob)} }

// watch lets the witness see what a store seals from its next Open on.
func (w *witness) watch(options sealing.Options) sealing.Options {
	records := options.Records
	options.Records = func(dir string) (persistence.Store, error) {
		store, err := records(dir)
		if err != nil {
			return nil, err
		}
		seen := &watched{Store: store, witness: w, options: options, keys: make(map[uint32]string)}
		if below, ok := store.(rewriter); ok {
			return watchedRewriter{seen, below}, nil
		}
		return seen, nil
	}
	return options
}

// watched is the store below, with the keys of this run that were seen.
type watched struct {
	persistence.Store
	witness *witness
	options sealing.Options
	keys    map[uint32]string
}

var errUnlucky = errors.New("unlucky")

// Apply implements persistence.Store.
func (s *watched) Apply(ctx context.Context, batch persistence.Batch) error {
	w := s.witness
	w.mu.Lock()
	for _, record := range batch.Records {
		if !record.Delete {
			w.see(s, blob{record.Name, string(record.Value)})
		}
	}
	before, after := false, false
	if w.fail != nil {
		before, after = w.fail()
	}
	w.mu.Unlock()
	if before {
		return errUnlucky
	}
	if err := s.Store.Apply(ctx, batch); err != nil || !after {
		return err
	}
	return errUnlucky
}

// rewriter is a store that records can be exchanged in.
type rewriter interface {
	Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error
}

// watchedRewriter is a rewriter below.
type watchedRewriter struct {
	*watched
	below rewriter
}

func (s watchedRewriter) Rewrite(ctx context.Context, after persistence.Name, records []persistence.Record) error {
	s.witness.mu.Lock()
	for _, record := range records {
		if record.Name.Kind() != persistence.KindFence {
			s.witness.see(s.watched, blob{record.Name, string(record.Value)})
		}
	}
	s.witness.mu.Unlock()
	return s.below.Rewrite(ctx, after, records)
}

// see takes down one use of a nonce and fails the test if it is the second.
func (w *witness) see(s *watched, b blob) {
	epoch := binary.BigEndian.Uint32([]byte(b.sealed[epochAt:]))
	if _, known := s.keys[epoch]; !known {
		for id, aead := range keysOf(w.t, s.options) {
			s.keys[id] = string(aead.Seal(nil, []byte("never a seq."), nil, nil))
		}
	}
	u := use{s.keys[epoch], binary.BigEndian.Uint64([]byte(b.sealed[sequenceAt:]))}
	if u.key == "" {
		w.t.Errorf("%s is sealed under epoch %d, which is not in the keyring", b.name, epoch)
	}
	if other, used := w.uses[u]; used && other != b {
		w.t.Errorf("epoch %d, sequence %d: the nonce seals two values, of %s and %s", epoch, u.sequence, other.name, b.name)
	}
	w.uses[u] = b
}

// blobs are all values that were seen.
func (w *witness) blobs() map[blob]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make(map[blob]bool)
	for b := range maps.Values(w.uses) {
		all[b] = true
	}
	return all
}

// keysOf opens the keyring beside the store and gives all its keys.
func keysOf(t testing.TB, options sealing.Options) map[uint32]cipher.AEAD {
	ring, err := keyring.Open("store/keyring", options.Protector, keyring.Options{FS: options.Files})
	if err != nil {
		t.Error(err)
		return nil
	}
	keys := make(map[uint32]cipher.AEAD)
	for _, epoch := range ring.Epochs() {
		keys[epoch.ID], _ = ring.AEAD(epoch.ID)
	}
	if err := ring.Close(); err != nil {
		t.Error(err)
	}
	return keys
}
