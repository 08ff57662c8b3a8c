package sealing

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/cell"
	"github.com/rookery-im/rookery/persistence/pebble"
)

func TestHeadComesBackAsItWas(t *testing.T) {
	for _, want := range []head{
		{},
		{point: point{run: [16]byte{1, 2}, counter: 1 << 40}, previous: [16]byte{3}, recovery: 1 << 60, pending: true},
		{point: point{counter: 1}, restored: true},
		{point: point{counter: 1}, clean: true},
	} {
		got, err := decodeHead(want.encode())
		if err != nil || got != want {
			t.Errorf("%+v came back as %+v, %v", want, got, err)
		}
	}
}

// TestNewerFormatIsRefusedClearly is T10 for the head and the anchor.
func TestNewerFormatIsRefusedClearly(t *testing.T) {
	newer := append((&head{}).encode(), "more"...)
	newer[3] = persistence.Format + 1
	if _, err := decodeHead(newer); !errors.Is(err, persistence.ErrNewerFormat) {
		t.Errorf("head: got %v", err)
	}
	for size := range headBytes {
		if _, err := decodeHead((&head{}).encode()[:size]); !errors.Is(err, persistence.ErrCorrupt) {
			t.Errorf("head of %d bytes: got %v", size, err)
		}
	}
	files := pebble.Files(vfs.NewMem())
	a := anchor{files: files, path: "anchor"}
	value := a.encode(point{})
	value[3] = anchorFormat + 1
	made, err := cell.Create(files, "anchor", value)
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.load(); !errors.Is(err, persistence.ErrNewerFormat) {
		t.Errorf("anchor: got %v", err)
	}
}

// TestAnchorBelievesOnlyItself: every bit of it is authenticated.
func TestAnchorBelievesOnlyItself(t *testing.T) {
	a := anchor{store: [16]byte{1}}
	want := point{run: [16]byte{7}, counter: 9}
	value := a.encode(want)
	if got, ours := a.decode(value); !ours || got != want {
		t.Fatalf("%+v came back as %+v, %t", want, got, ours)
	}
	for bit := range 8 * len(value) {
		value[bit/8] ^= 1 << (bit % 8)
		if _, ours := a.decode(value); ours {
			t.Errorf("bit %d makes no difference", bit)
		}
		value[bit/8] ^= 1 << (bit % 8)
	}
	other := anchor{store: [16]byte{2}}
	if _, ours := a.decode(other.encode(want)); ours {
		t.Error("the anchor of another store is believed")
	}
}

// TestJudge is the rule of T06: what follows from the anchor and what does not.
func TestJudge(t *testing.T) {
	a, b, c := [16]byte{'a'}, [16]byte{'b'}, [16]byte{'c'}
	at := func(run [16]byte, counter uint64) point { return point{run, counter} }
	for name, test := range map[string]struct {
		head    head
		anchor  point
		missing string
		want    string
	}{
		"at the anchor":                    {head{point: at(a, 7)}, at(a, 7), "", ""},
		"one batch further":                {head{point: at(a, 8)}, at(a, 7), "", ""},
		"first batch of a run":             {head{point: at(b, 8), previous: a}, at(a, 7), "", ""},
		"two batches further":              {head{point: at(a, 9)}, at(a, 7), "", reasonNewer},
		"one batch back":                   {head{point: at(a, 6)}, at(a, 7), "", reasonOlder},
		"second batch of a run":            {head{point: at(b, 9), previous: a}, at(a, 7), "", reasonOtherRun},
		"first batch of a run from a copy": {head{point: at(b, 7), previous: a}, at(a, 7), "", reasonOtherRun},
		"of another run":                   {head{point: at(b, 7), previous: c}, at(a, 7), "", reasonOtherRun},
		"of the run before":                {head{point: at(a, 7)}, at(b, 8), "", reasonOtherRun},
		"first head before its anchor":     {head{point: at(a, 1)}, point{}, reasonNoAnchor, ""},
		"first head at an anchor's making": {head{point: at(a, 1)}, point{}, "", ""},
		"any head at an anchor's making":   {head{point: at(a, 7), previous: b}, point{}, "", reasonOtherRun},
		"first run at an anchor's making":  {head{point: at(a, 2)}, point{}, "", reasonOtherRun},
		"second head without an anchor":    {head{point: at(a, 2)}, point{}, reasonNoAnchor, reasonNoAnchor},
		"first head with a strange anchor": {head{point: at(a, 1)}, point{}, reasonForeignAnchor, reasonForeignAnchor},
		"damaged anchor":                   {head{point: at(a, 7)}, point{}, reasonBadAnchor, reasonBadAnchor},
		"restored":                         {head{point: at(a, 7), restored: true}, at(a, 7), "", reasonRestored},
	} {
		if got := judge(test.head, test.anchor, test.missing); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
