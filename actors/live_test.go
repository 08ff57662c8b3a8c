package actors_test

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/actors"
)

// counted is an actor that fails when it is told to.
type counted struct{}

var errCounted = errors.New("as the test wants it")

func (*counted) Start(*actors.Context) error { return nil }

func (*counted) Receive(_ *actors.Context, message any) error {
	switch m := message.(type) {
	case actors.Reply[struct{}]:
		m.Send(struct{}{})
	case string:
		if m == "panic" {
			panic("as the test wants it")
		}
		return errCounted
	}
	return nil
}

// An actor counts once from its start to its end, however often it restarts.
func TestLiveCountsActorsOverTheirRestarts(t *testing.T) {
	system := actors.NewSystem(actors.Options{})
	const kind = "*actors_test.counted"
	var refs []actors.Ref
	for _, name := range []string{"one", "two", "three"} {
		ref, err := system.Spawn(name, func() actors.Actor { return new(counted) })
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	settled := func() {
		t.Helper()
		for _, ref := range refs {
			if _, err := actors.Ask(t.Context(), ref, func(r actors.Reply[struct{}]) any { return r }); err != nil {
				t.Fatal(err)
			}
		}
	}
	settled()
	if n := system.Live()[kind]; n != 3 {
		t.Errorf("%d live, want 3", n)
	}
	refs[0].Tell("fail")
	refs[1].Tell("panic")
	settled()
	if n := system.Live()[kind]; n != 3 {
		t.Errorf("%d live after restarts, want 3", n)
	}
	if n := system.Quarantined(); n != 1 {
		t.Errorf("%d messages in quarantine, want 1", n)
	}
	if err := system.Stop(t.Context(), refs[2]); err != nil {
		t.Fatal(err)
	}
	if n := system.Live()[kind]; n != 2 {
		t.Errorf("%d live after one has stopped, want 2", n)
	}
	if err := system.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := system.Live()[kind]; n != 0 {
		t.Errorf("%d live after the end", n)
	}
}
