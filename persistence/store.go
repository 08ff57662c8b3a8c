package persistence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
)

// Record is one write: Value under Name, or with Delete the end of that record
// (deleting what is not there is fine). An empty value is a value.
type Record struct {
	Name   Name
	Value  []byte
	Delete bool
	// New promises that the store has no record of that name. A Committer then
	// writes nothing at all for it when it has ended before it reached the disk;
	// a Store takes no notice.
	New bool
	// Content gives the value instead of Value, once it is needed. Only a
	// Committer takes it: what is replaced before it is written need not be
	// encoded.
	Content Content
}

// Content is a value that is not encoded yet. It does not change.
type Content interface {
	// AppendValue appends the value to b.
	AppendValue(b []byte) []byte
	// ValueSize is about how long it is, in bytes: what may be large counts.
	ValueSize() int
}

// size is about how long the value of a write is.
func (r *Record) size() int {
	if r.Content != nil {
		return r.Content.ValueSize()
	}
	return len(r.Value)
}

// value is the value of a write that is no deletion.
func (r *Record) value() []byte {
	if r.Content != nil {
		return r.Content.AppendValue(nil)
	}
	return r.Value
}

// Encode gives records with Content their values, for whoever has no Committer.
func Encode(records []Record) { appendValues(nil, records) }

// appendValues is Encode with room for the values.
func appendValues(values []byte, records []Record) []byte {
	for i := range records {
		r := &records[i]
		if r.Content == nil {
			continue
		}
		start := len(values)
		values = r.Content.AppendValue(values)
		r.Value, r.Content = values[start:len(values):len(values)], nil
	}
	return values
}

// OwnerID names a hosted installation in fences.
type OwnerID [16]byte

// NewOwnerID is the first 16 bytes of SHA-256 over the identity public key and
// the installation id, each behind its length (4 bytes, big-endian).
func NewOwnerID(identity []byte, installation string) OwnerID {
	material := make([]byte, 0, 8+len(identity)+len(installation))
	material = binary.BigEndian.AppendUint32(material, uint32(len(identity))) //nolint:gosec // 33 bytes
	material = append(material, identity...)
	material = binary.BigEndian.AppendUint32(material, uint32(len(installation))) //nolint:gosec // at most 100 bytes
	material = append(material, installation...)
	sum := sha256.Sum256(material)
	return OwnerID(sum[:len(OwnerID{})])
}

// String is the owner id in hex.
func (o OwnerID) String() string { return hex.EncodeToString(o[:]) }

// Fence is the claim to own an installation's state: the epoch that Own gave.
type Fence struct {
	Owner OwnerID
	Epoch uint64
}

// Batch is applied as a whole or not at all. The records are written in order,
// so of two with one name the later holds.
type Batch struct {
	Fences  []Fence
	Records []Record
	// Head says that one of the records may be the store's head. It is set by the
	// layer of a store that keeps the head (package sealing) for the store below
	// it, and by nobody else.
	Head bool
}

// Check refuses a batch with a malformed name, or with one that is the store's
// own: fences, which Own alone moves, and the head unless Head is set. Every
// Store calls it in Apply. The error is a *NameError.
func (b Batch) Check() error {
	for _, record := range b.Records {
		if err := record.Name.walk(func(string) {}); err != nil {
			return err
		}
		switch kind := record.Name.Kind(); {
		case kind == KindFence, kind == KindHead && !b.Head:
			return &NameError{Name: record.Name, Reason: "written by the store alone"}
		}
	}
	return nil
}

// Clone is a copy of the batch, for who wants it longer than Apply runs.
func (b Batch) Clone() Batch {
	b.Fences, b.Records = slices.Clone(b.Fences), slices.Clone(b.Records)
	for i := range b.Records {
		b.Records[i].Value = bytes.Clone(b.Records[i].Value)
	}
	return b
}

// FenceName is the record in which a store keeps an owner's epoch, as 8 bytes
// big-endian.
func FenceName(owner OwnerID) Name { return NewName(KindFence, owner[:]) }

// Format is that of the names and values in stores and backups of this build, which
// reads those before it, too. 2: a contact's installations are in its record; whoever
// knows format 1 alone would take them for gone.
const Format = 2

// Store keeps records. All methods may be called from any goroutine; a context
// that has ended gives its error before anything is changed. After Close every
// method but Close gives ErrClosed.
type Store interface {
	// Get returns the record's value, which the caller owns. ErrNotFound when
	// there is none.
	Get(ctx context.Context, name Name) ([]byte, error)

	// Scan calls fn for each record whose name starts with prefix (the empty
	// prefix: for all), in ascending order of names, as they were when Scan
	// began. The value is valid during the call only. An error of fn ends the
	// scan and is returned as it is. fn may call the store, but not Close.
	Scan(ctx context.Context, prefix Name, fn func(name Name, value []byte) error) error

	// ScanAfter calls fn, as Scan does, for the first limit records whose names
	// are above after, of whatever kind. A walk over all records in pieces, which
	// need not be of one moment, goes on with the last name that it was shown.
	ScanAfter(ctx context.Context, after Name, limit int, fn func(name Name, value []byte) error) error

	// Apply writes the batch: all of it, durably, when it returns nil. It is
	// refused with a *FencedError when a fence does not carry the epoch that the
	// store has for its owner (0 for an owner that nobody has taken), and with a
	// *NameError for names that Batch.Check refuses; then nothing is written.
	// After any other error the batch is there as a whole or not at all. The store
	// keeps nothing of the batch: the caller may use all of it again.
	Apply(ctx context.Context, batch Batch) error

	// Own takes ownership: it durably counts the owner's epoch up by one and
	// returns it. Every batch under an older epoch is refused from then on.
	Own(ctx context.Context, owner OwnerID) (epoch uint64, err error)

	// OwnAll is Own for many owners in one write: for all of them or for none. The
	// epochs are in the order of the owners; one that is named twice gets one.
	OwnAll(ctx context.Context, owners []OwnerID) (epochs []uint64, err error)

	// Close releases everything. Closing twice is fine.
	Close() error
}
