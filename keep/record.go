package keep

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

const (
	// MaxName is how long the name of a record may be, and that of its collection, in
	// bytes.
	MaxName = 255
	// MaxValue is how long its value may be, in bytes.
	MaxValue = 2 << 20
)

// ErrRecord: a record has a collection and a name of 1 to MaxName bytes, and a value of at
// most MaxValue.
var ErrRecord = errors.New("rookery: record of the application")

// Record is one. Collection and name are on the disk in the clear and may be logged: they
// must not hold a secret. The value is sealed.
type Record struct {
	// Collection is what the record stands in, such as "rooms".
	Collection string
	// Name is its own in there.
	Name string
	// Value; where it is written nil deletes the record.
	Value []byte
}

// Format implements fmt.Formatter without the value.
func (r Record) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "record %q in %q, %d bytes", r.Name, r.Collection, len(r.Value))
}

// Encode is the record as a store takes it. ErrRecord.
func (r Record) Encode() (persistence.Record, error) {
	name, err := NameOf(r.Collection, r.Name)
	if err == nil && len(r.Value) > MaxValue {
		err = fmt.Errorf("%w: a value of %d bytes", ErrRecord, len(r.Value))
	}
	return persistence.Record{Name: name, Value: r.Value, Delete: r.Value == nil}, err
}

// NameOf is what a store calls the record of a name, or, without a name, what the names
// of all in the collection begin with. ErrRecord.
func NameOf(collection string, name ...string) (persistence.Name, error) {
	parts := [][]byte{[]byte(collection)}
	for _, n := range name {
		parts = append(parts, []byte(n))
	}
	for _, p := range parts {
		if len(p) == 0 || len(p) > MaxName {
			return "", fmt.Errorf("%w: a name of %d bytes", ErrRecord, len(p))
		}
	}
	return persistence.NewName(persistence.KindKept, parts...), nil
}

// Decode is the record of a store; its value is that slice, or empty and not nil.
// persistence.ErrCorrupt.
func Decode(name persistence.Name, value []byte) (Record, error) {
	parts, err := name.Parts()
	if err != nil || name.Kind() != persistence.KindKept || len(parts) != 2 {
		return Record{}, fmt.Errorf("rookery: %v: %w: not named as a record of the application's", name, persistence.ErrCorrupt)
	}
	if value == nil {
		value = []byte{} // nil would delete it
	}
	return Record{string(parts[0]), string(parts[1]), value}, nil
}
