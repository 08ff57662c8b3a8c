package deviceactor

import (
	"errors"
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// What a session did is committed even if its message is refused, since the
// session has moved on; of what the message would have changed nothing is.
func TestRefusedWorkCommitsOnlyWhatSessionsDid(t *testing.T) {
	session := persistence.Record{Name: persistence.NewName(persistence.KindSession, []byte("s"))}
	outbox := persistence.Record{Name: persistence.NewName(persistence.KindOutbox, []byte("o"))}
	for name, test := range map[string]struct {
		end  func() error
		want int
	}{
		"done":     {func() error { return nil }, 2},
		"refused":  {func() error { return errors.New("refused") }, 1},
		"panicked": {func() error { panic("while preparing") }, 0},
	} {
		a := New(&Config{}, x3dh.IdentityPublicKey{}, nil)
		func() {
			defer func() { _ = recover() }()
			a.enqueue(&work{records: []persistence.Record{session}, task: &errand{begin: func() error {
				a.write(outbox)
				return test.end()
			}}})
		}()
		if got := a.batch.all(); len(got) != test.want || len(got) > 0 && got[0].Name != session.Name {
			t.Errorf("%s: %d records, want %d", name, len(got), test.want)
		}
	}
}

func TestBatchKeepsTheLastWriteOfASessionAndOfAContact(t *testing.T) {
	inbox := persistence.NewName(persistence.KindInbox, []byte("i"))
	for _, kind := range []persistence.Kind{persistence.KindSession, persistence.KindContact} {
		name := persistence.NewName(kind, []byte("n"))
		var b batch
		for _, r := range []persistence.Record{
			{Name: name, Value: []byte("1"), New: true},
			{Name: inbox, Value: []byte("2")},
			{Name: name, Value: []byte("3")},
		} {
			b.put(&r)
		}
		got := b.all()
		if len(got) != 2 || got[0].Name != name || string(got[0].Value) != "3" || !got[0].New || got[1].Name != inbox {
			t.Errorf("%v: got %v", kind, got)
		}
	}
}
