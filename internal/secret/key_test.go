package secret

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"
)

func TestKeySizeIsExact(t *testing.T) {
	for n := range 70 {
		k, err := NewKey(bytes.Repeat([]byte{7}, n))
		if n == KeySize {
			if err != nil || !bytes.Equal(k.Bytes(), bytes.Repeat([]byte{7}, n)) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			continue
		}
		if !errors.Is(err, ErrKeySize) || !k.IsZero() {
			t.Errorf("%d bytes: error %v, zero key %v", n, err, k.IsZero())
		}
	}
}

func TestKeyCopiesItsInput(t *testing.T) {
	in := bytes.Repeat([]byte{7}, KeySize)
	k, err := NewKey(in)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	a := k.Array()
	clear(a[:])
	if !bytes.Equal(k.Bytes(), bytes.Repeat([]byte{7}, KeySize)) {
		t.Error("the key changes with the slice it was made of or with a copy of it")
	}
}

func TestEqualSeesEveryBit(t *testing.T) {
	k := canary()
	same := k
	if !k.Equal(&same) || !k.Equal(&k) {
		t.Fatal("a key is not equal to its copy")
	}
	for bit := range 8 * KeySize {
		other := k
		other.Bytes()[bit/8] ^= 1 << (bit % 8)
		if k.Equal(&other) || other.Equal(&k) {
			t.Errorf("bit %d makes no difference", bit)
		}
	}
}

func TestIsZeroSeesEveryBit(t *testing.T) {
	var k Key
	if !k.IsZero() {
		t.Fatal("the zero value is not zero")
	}
	for bit := range 8 * KeySize {
		k = Key{}
		k.Bytes()[bit/8] = 1 << (bit % 8)
		if k.IsZero() {
			t.Errorf("bit %d makes no difference", bit)
		}
	}
}

func TestKeysCannotBeComparedWithTheOperator(t *testing.T) {
	if reflect.TypeFor[Key]().Comparable() {
		t.Error("== compiles for keys, and does not run in constant time")
	}
}

func TestWipeOverwritesTheBytesInPlace(t *testing.T) {
	k := canary()
	kept := k
	inside := k.Bytes()
	k.Wipe()
	if !k.IsZero() || !bytes.Equal(inside, make([]byte, KeySize)) {
		t.Error("a wiped key still holds bytes")
	}
	if want := canary(); !kept.Equal(&want) {
		t.Error("wiping one value wiped its copy")
	}
}

// T51: a failing or short source gives an error and no partly filled key.
func TestReadKeyRefusesAFailingSource(t *testing.T) {
	failed := errors.New("source failed")
	for name, c := range map[string]struct {
		source io.Reader
		want   error
	}{
		"empty":         {bytes.NewReader(nil), io.EOF},
		"one byte":      {bytes.NewReader([]byte{1}), io.ErrUnexpectedEOF},
		"one too few":   {bytes.NewReader(bytes.Repeat([]byte{1}, KeySize-1)), io.ErrUnexpectedEOF},
		"fails at once": {iotest.ErrReader(failed), failed},
		"fails midway":  {io.MultiReader(bytes.NewReader(bytes.Repeat([]byte{1}, 16)), iotest.ErrReader(failed)), failed},
	} {
		k, err := ReadKey(c.source)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if !k.IsZero() {
			t.Errorf("%s: a key was made of too few bytes", name)
		}
	}
}

func TestReadKeyTakesExactlyItsBytes(t *testing.T) {
	source := bytes.NewReader(bytes.Repeat([]byte{9}, KeySize+5))
	k, err := ReadKey(iotest.OneByteReader(source))
	if err != nil || !bytes.Equal(k.Bytes(), bytes.Repeat([]byte{9}, KeySize)) {
		t.Fatalf("a slow source: %v", err)
	}
	if source.Len() != 5 {
		t.Errorf("%d bytes left in the source, want 5", source.Len())
	}
}
