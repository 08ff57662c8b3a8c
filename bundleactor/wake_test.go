package bundleactor

import (
	"errors"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// spoil makes the stored prekeys unreadable: who reads them stops.
func (h *hosted) spoil() {
	h.t.Helper()
	apply(h.t, h.disk.Store, persistence.Record{Name: preKeyName(owner, 1), Value: []byte("\xff")})
}

// A message that wakes its sender needs the bundle and none of the private keys.
func TestBundleIsShownAfterAWakeWithoutReadingPreKeys(t *testing.T) {
	for _, test := range []struct {
		name  string
		later int64 // ns
		needs bool  // the prekeys
	}{
		{"at once", 0, false},
		{"an hour less a moment later", hour - 1, false},
		{"when it is to be signed again", hour, true},
		{"when the clock has gone back", -1, true},
	} {
		h := host(t)
		first := h.get()
		h.restart()
		h.now.Add(test.later)
		h.spoil()
		p, err := h.tryGet()
		if test.needs != errors.Is(err, actors.ErrCorruptState) {
			t.Errorf("%s: got %v", test.name, err)
		}
		if !test.needs && !reflect.DeepEqual(p, first) {
			t.Errorf("%s: got %+v, want %+v", test.name, p, first)
		}
	}
}

// The prekey in the bundle is due before the signature is.
func TestBundleIsNotShownAfterAWakeWhenItsPreKeyIsDue(t *testing.T) {
	h := host(t)
	h.get()
	h.now.Store(noon + day - hour/2)
	p := h.get()
	if p.Until != noon+day {
		t.Fatalf("good until %d", p.Until)
	}
	h.restart()
	if again := h.get(); again.Until != p.Until {
		t.Errorf("after a wake good until %d", again.Until)
	}
	h.restart()
	h.now.Store(noon + day)
	if renewed := h.get(); renewed.prekey() == p.prekey() {
		t.Error("the old prekey is shown")
	}
}

// Which siblings stand in it is looked at: they may have changed while it slept.
func TestBundleOfOtherSiblingsIsNotShown(t *testing.T) {
	host := installation(t)
	siblings := []Sibling{sibling(t, another, 1)}
	state, _ := renew(t, host, State{}, siblings, Asked, noon)
	asRead := state
	asRead.Keys = nil
	p, ok := asRead.publishedAsRead(noon, host.Schedule, host.ID, siblings)
	if want := state.Published(host.Schedule); !ok || !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, %v; want %+v", p, ok, want)
	}
	for name, other := range map[string][]Sibling{
		"none":        nil,
		"a newer one": {sibling(t, another, 2)},
	} {
		if p, ok := asRead.publishedAsRead(noon, host.Schedule, host.ID, other); ok {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	if p, ok := asRead.publishedAsRead(0, host.Schedule, host.ID, siblings); ok {
		t.Errorf("a record that does not say when the prekey was made: %+v", p)
	}
	if p, ok := asRead.publishedAsRead(noon, host.Schedule, another, siblings); ok {
		t.Errorf("another installation: %+v", p)
	}
	asRead.Doubted = noon
	if p, ok := asRead.publishedAsRead(noon, host.Schedule, host.ID, siblings); ok {
		t.Errorf("a doubted clock: %+v", p)
	}
}

// Records from before the public half was kept give the same keys.
func TestPreKeysWithoutPublicHalvesAreRead(t *testing.T) {
	h := host(t)
	first := h.get()
	rewrite(t, h, func(r *record.PreKey) {
		if len(r.GetPublicKey()) != x3dh.PublicKeySize {
			t.Errorf("public half of %d bytes", len(r.GetPublicKey()))
		}
		r.PublicKey = nil
	})
	if found := h.find(first.prekey()); found == nil || found.Key.Public() != first.prekey() {
		t.Errorf("found %+v", found)
	}
}

// What was stored is computed again before it is used: for an agreement, and before a
// bundle with it is signed.
func TestPublicHalfOfAnotherKeyIsNotUsed(t *testing.T) {
	other := x3dh.PreKeyPublic{}
	spoiled := func() *hosted {
		h := host(t)
		h.get()
		other = sibling(t, another, 1).Key
		rewrite(t, h, func(r *record.PreKey) { r.PublicKey = other[:] })
		return h
	}
	h := spoiled()
	_, err := ask(h, func(r actors.Reply[*Found]) any { return FindPreKey{r, other} })
	if !errors.Is(err, actors.ErrCorruptState) || !errors.Is(err, ErrCorrupt) {
		t.Errorf("looked up: got %v", err)
	}
	h = spoiled()
	h.now.Add(2 * hour)
	if p, err := h.tryGet(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("signed: got %+v, %v", p, err)
	}
}

// rewrite changes the first prekey in the store, and starts the actor again.
func rewrite(t *testing.T, h *hosted, change func(*record.PreKey)) {
	t.Helper()
	value, err := h.disk.Get(t.Context(), preKeyName(owner, 1))
	if err != nil {
		t.Fatal(err)
	}
	var r record.PreKey
	if err := proto.Unmarshal(value, &r); err != nil {
		t.Fatal(err)
	}
	change(&r)
	if value, err = proto.Marshal(&r); err != nil {
		t.Fatal(err)
	}
	apply(t, h.disk.Store, persistence.Record{Name: preKeyName(owner, 1), Value: value})
	h.restart()
}
