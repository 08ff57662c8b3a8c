package keyring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/cell/celltest"
)

// sampleValue is the value in the cell of a keyring with two epochs.
func sampleValue(tb testing.TB, p Protector) []byte {
	tb.Helper()
	disk := celltest.NewDisk()
	mustBegin(tb, mustCreate(tb, p, onDisk(disk, 1)))
	_, value, err := cell.Open(disk, ringName)
	if err != nil {
		tb.Fatal(err)
	}
	return value
}

// openValue opens a keyring whose cell is intact and holds this value.
func openValue(tb testing.TB, p Protector, value []byte) (*Keyring, error) {
	tb.Helper()
	disk := celltest.NewDisk()
	if _, err := cell.Create(disk, ringName, value); err != nil {
		tb.Fatal(err)
	}
	before := disk.Content(ringName)
	k, err := Open(ringName, p, onDisk(disk, 2))
	if !bytes.Equal(disk.Content(ringName), before) {
		tb.Fatal("opening has changed the file")
	}
	return k, err
}

// T05 for keyrings: one flipped bit anywhere in the file is found, or it is in
// the slot that holds nothing.
func TestEveryFlippedBitOfTheFileIsFound(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	mustBegin(t, k)
	whole := disk.Content(ringName)
	found := 0
	for at := range whole {
		flipped := bytes.Clone(whole)
		flipped[at] ^= 1 << (at % 8)
		damaged := celltest.NewDisk()
		damaged.Put(ringName, flipped)
		again, err := Open(ringName, p, onDisk(damaged, 2))
		switch {
		case errors.Is(err, persistence.ErrCorrupt):
			found++
		case err != nil:
			t.Fatalf("byte %d: %v", at, err)
		case !sameKeyring(k, again):
			t.Fatalf("byte %d: opened with other keys", at)
		}
	}
	if found != len(whole)/2 {
		t.Errorf("%d of %d flipped bits are found, want those of one slot", found, len(whole))
	}
}

// Nor does someone who can compute check sums get by the seal.
func TestEveryFlippedBitOfTheValueIsFound(t *testing.T) {
	p := newKeyFile(t)
	value := sampleValue(t, p)
	for bit := range 8 * len(value) {
		flipped := bytes.Clone(value)
		flipped[bit/8] ^= 1 << (bit % 8)
		_, err := openValue(t, p, flipped)
		newer := bit/8 == 8 || bit/8 == 9
		if !errors.Is(err, persistence.ErrCorrupt) && !errors.Is(err, ErrWrongKey) && (!newer || !errors.Is(err, persistence.ErrNewerFormat)) {
			t.Fatalf("bit %d of byte %d: %v", bit%8, bit/8, err)
		}
	}
}

func TestAValueOfAnotherLengthIsRefused(t *testing.T) {
	p := newKeyFile(t)
	value := sampleValue(t, p)
	for length := range value {
		if _, err := openValue(t, p, value[:length]); !errors.Is(err, persistence.ErrCorrupt) && !errors.Is(err, ErrWrongKey) {
			t.Fatalf("%d bytes: %v", length, err)
		}
	}
	if _, err := openValue(t, p, append(value, 0)); !errors.Is(err, ErrWrongKey) {
		t.Fatalf("one byte too many: %v", err)
	}
}

func TestATruncatedFileIsRefused(t *testing.T) {
	disk, p := celltest.NewDisk(), newKeyFile(t)
	k := mustCreate(t, p, onDisk(disk, 1))
	mustBegin(t, k) // in the second slot
	whole := disk.Content(ringName)
	for length := range whole {
		cut := celltest.NewDisk()
		cut.Put(ringName, whole[:length])
		if _, err := Open(ringName, p, onDisk(cut, 2)); !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatalf("%d bytes: %v", length, err)
		}
	}
}

// T10 for keyrings.
func TestANewerFormatIsRefused(t *testing.T) {
	p := newKeyFile(t)
	for _, rest := range []int{0, 1, 500} { // a newer format may be shorter
		value := binary.BigEndian.AppendUint16([]byte(magic), format+1)
		value = append(value, make([]byte, rest)...)
		if _, err := openValue(t, p, value); !errors.Is(err, persistence.ErrNewerFormat) || errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("and %d bytes: %v", rest, err)
		}
	}
}

// unasked is a protector that nobody may ask.
type unasked struct{ tb testing.TB }

func (u unasked) protect(io.Reader) (header, secret.Key, error) {
	u.tb.Error("asked to protect")
	return header{}, secret.Key{}, ErrWrongKey
}

func (u unasked) unlock(h header) (secret.Key, error) {
	u.tb.Errorf("asked to unlock %+v", h)
	return secret.Key{}, ErrWrongKey
}

func TestParametersOutOfBoundsAreRefusedBeforeUse(t *testing.T) {
	good := header{kind: kindPassphrase, lanes: 1, memory: minMemory, passes: 1}
	for name, h := range map[string]header{
		"no kind":                  {},
		"a later kind":             {kind: 3},
		"no memory":                {kind: kindPassphrase, lanes: 1, passes: 1},
		"too little memory":        {kind: kindPassphrase, lanes: 1, passes: 1, memory: 64<<10 - 1},
		"more than a GiB":          {kind: kindPassphrase, lanes: 1, passes: 1, memory: 1<<20 + 1},
		"all memory":               {kind: kindPassphrase, lanes: 1, passes: 1, memory: 1<<32 - 1},
		"no pass":                  {kind: kindPassphrase, lanes: 1, memory: minMemory},
		"too many passes":          {kind: kindPassphrase, lanes: 1, memory: minMemory, passes: 17},
		"endless passes":           {kind: kindPassphrase, lanes: 1, memory: minMemory, passes: 1<<32 - 1},
		"no lane":                  {kind: kindPassphrase, memory: minMemory, passes: 1},
		"too many lanes":           {kind: kindPassphrase, memory: minMemory, passes: 1, lanes: 17},
		"a key file with memory":   {kind: kindKeyFile, memory: minMemory},
		"a key file with passes":   {kind: kindKeyFile, passes: 1},
		"a key file with one lane": {kind: kindKeyFile, lanes: 1},
	} {
		value := append(h.encode(), make([]byte, 200)...)
		if _, err := openValue(t, unasked{t}, value); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, h := range []header{
		good,
		{kind: kindPassphrase, lanes: maxLanes, memory: maxMemory, passes: maxPasses},
		{kind: kindKeyFile},
	} {
		if got, err := decodeHeader(append(h.encode(), make([]byte, 200)...)); err != nil || got != h {
			t.Errorf("%+v became %+v, %v", h, got, err)
		}
	}
}

// What is sealed well and makes no sense is refused too.
func TestContentThatMakesNoSense(t *testing.T) {
	one := func(id uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, id), make([]byte, epochBytes-4)...)
	}
	with := func(count byte, epochs ...[]byte) []byte {
		return slices.Concat(append(make([]byte, fixedBytes-1), count), slices.Concat(epochs...))
	}
	for name, c := range map[string]struct {
		content []byte
		fine    bool
	}{
		"nothing":                {content: nil},
		"no epoch":               {content: with(0)},
		"one epoch":              {content: with(1, one(1)), fine: true},
		"epochs apart":           {content: with(2, one(3), one(1<<32-1)), fine: true},
		"epoch 0":                {content: with(1, one(0))},
		"one epoch twice":        {content: with(2, one(1), one(1))},
		"the newest first":       {content: with(2, one(2), one(1))},
		"fewer than said":        {content: with(2, one(1))},
		"more than said":         {content: with(1, one(1), one(2))},
		"a part of an epoch":     {content: with(1, one(1), []byte{0})},
		"as many as there are":   {content: with(MaxEpochs, many(MaxEpochs, one)), fine: true},
		"more than there may be": {content: with(MaxEpochs+1, many(MaxEpochs+1, one))},
	} {
		_, err := decodeContent(c.content)
		if c.fine != (err == nil) || !c.fine && !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func many(n uint32, one func(uint32) []byte) []byte {
	var all []byte
	for id := range n {
		all = append(all, one(id+1)...)
	}
	return all
}
