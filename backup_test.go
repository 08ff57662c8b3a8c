package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/backup"
	"github.com/rookery-im/rookery/sessionactor"
)

// holder is who can open the backups of a test.
func holder(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

// restored makes a store in a new directory out of a backup.
func restored(t *testing.T, saved []byte, of age.Identity) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "restored")
	if _, err := rookery.Restore(t.Context(), rookery.Options{Dir: dir, Unlock: keyOf(dir)}, bytes.NewReader(saved), of); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestBackupUnderTrafficIsOneMoment: a message that was received is in the inbox
// exactly if the session of that moment has moved past it.
func TestBackupUnderTrafficIsOneMoment(t *testing.T) {
	const backups, each = 4, 100
	w := newWorld(t, backends[0])
	w.bag.keepAll()
	alice, bob := w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.send(alice, bob.key, "first")
	w.awaitMessages(1, bob)

	var senders sync.WaitGroup
	sender, more := w.at(alice), make(chan struct{}, backups)
	senders.Go(func() {
		for range more {
			for n := range each {
				if _, err := sender.Send(context.Background(), bob.key, []byte(fmt.Sprint(n))); err != nil {
					t.Errorf("send: %v", err)
					return
				}
			}
		}
	})
	of, saved := holder(t), make([]bytes.Buffer, backups)
	for i := range saved {
		more <- struct{}{} // however slow the backup before was: there is something new
		w.awaitMessages(1+i*each+1, bob)
		if _, err := w.engine.Backup(w.context(), &saved[i], of.Recipient()); err != nil {
			t.Fatal(err)
		}
	}
	close(more)
	senders.Wait()
	last := 0
	for i := range saved {
		store, err := openSealed(restored(t, saved[i].Bytes(), of))
		if err != nil {
			t.Fatal(err)
		}
		place := sessionactor.Place{
			Owner: persistence.NewOwnerID(bob.key[:], bob.installation),
			Ends:  sessionactor.Ends{Peer: alice.key, PeerInstallation: alice.installation},
		}
		sessions, err := sessionactor.Load(t.Context(), store, place, sessionactor.ID{})
		if err != nil {
			t.Fatal(err)
		}
		if len(sessions.List) != 1 {
			t.Fatalf("%d sessions", len(sessions.List))
		}
		inbox := count(t, store, persistence.KindInbox)
		session := sessions.List[0]
		if opened := int(session.Ratchet.Recv.N) - len(sessions.Skipped[session.ID].Refs()); inbox != opened || inbox <= last {
			t.Errorf("backup %d: %d messages in the inbox, %d decrypted; the backup before had %d", i, inbox, opened, last)
		}
		last = inbox
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestRestoredEngineGoesOnThroughSuccessors (T06): what was sent after the
// backup is unknown to the restored store, so it never encrypts from what it
// has; that no key is used twice, the network checks. Identities and contacts
// are back, and what nobody has acknowledged comes again.
func TestRestoredEngineGoesOnThroughSuccessors(t *testing.T) {
	theirs := newWorld(t, backends[1])
	onTheirs := func(o *rookery.Options) { o.Transport = theirs.air }
	first := newWorld(t, backends[0], onTheirs)
	first.bag.keepAll()
	alice, bob := first.person(1)[0], theirs.person(1)[0]
	first.introduce(first.at(alice), theirs.at(bob))
	turn := func(n int) {
		first.send(alice, bob.key, fmt.Sprint("from alice ", n))
		theirs.awaitMessages(n, bob)
		theirs.send(bob, alice.key, fmt.Sprint("from bob ", n))
		first.awaitMessages(n, alice)
	}
	of := holder(t)
	var saved bytes.Buffer
	for n := 1; n <= 6; n++ {
		turn(n)
		if n == 3 {
			if _, err := first.engine.Backup(first.context(), &saved, of.Recipient()); err != nil {
				t.Fatal(err)
			}
		}
	}
	first.close()

	w := newWorld(t, inDirectory(restored(t, saved.Bytes(), of)), onTheirs)
	awaitThese[rookery.Replaced](w, 1, alice)
	w.awaitMessages(3, alice)
	_, err := w.at(alice).Send(w.context(), bob.key, []byte("from the past"))
	wantError(t, err, rookery.ErrRetired)
	next, ok := w.at(alice).Successor()
	if !ok {
		t.Fatal("alice has no successor")
	}
	now := device{next.PublicKey(), next.InstallationID()}
	w.send(now, bob.key, "from alice 7")
	theirs.awaitMessages(7, bob)
	theirs.send(bob, alice.key, "from bob 7")
	w.awaitMessages(1, now)
	w.reopen()
	w.send(now, bob.key, "from alice 8")
	theirs.awaitMessages(8, bob)
	first.open() // for its clean-up; nobody sends from it any more
}

// TestRestoreThatFailsLeavesNoStore, and nothing in its way when it is tried
// again.
func TestRestoreThatFailsLeavesNoStore(t *testing.T) {
	w := newWorld(t, backends[1])
	w.person(2)
	of := holder(t)
	var saved bytes.Buffer
	if _, err := w.engine.Backup(w.context(), &saved, of.Recipient()); err != nil {
		t.Fatal(err)
	}
	whole := saved.Bytes()
	dir := filepath.Join(t.TempDir(), "made", "store")
	o := rookery.Options{Dir: dir, Unlock: keyOf(filepath.Dir(dir))}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name string
		ctx  context.Context
		from []byte
		with age.Identity
		want error
	}{
		{"truncated", t.Context(), whole[:len(whole)-1], of, backup.ErrDamaged},
		{"wrong key", t.Context(), whole, holder(t), backup.ErrWrongKey},
		{"something else", t.Context(), []byte("no backup"), of, backup.ErrNotBackup},
		{"cancelled", cancelled, whole, of, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rookery.Restore(c.ctx, o, bytes.NewReader(c.from), c.with)
			wantError(t, err, c.want)
			entries, err := os.ReadDir(filepath.Dir(dir))
			if err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
	if _, err := rookery.Restore(t.Context(), o, bytes.NewReader(whole), of); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	_, err := rookery.Restore(t.Context(), o, bytes.NewReader(whole), of)
	wantError(t, err, fs.ErrExist)
	if after := tree(t, dir); after != before {
		t.Error("a store that was there has changed")
	}
}

// TestHalfRestoredStoreIsInTheWay: a restore that was killed is never taken for
// a store, nor for a place to go on from.
func TestHalfRestoredStoreIsInTheWay(t *testing.T) {
	of := holder(t)
	dir := filepath.Join(t.TempDir(), "store")
	o := rookery.Options{Dir: dir, Unlock: keyOf(dir)}
	entered, killed := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := rookery.Restore(context.Background(), o, &stuck{entered, killed}, of)
		done <- err
	}()
	<-entered
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the store is there already: %v", err)
	}
	_, err := rookery.Restore(t.Context(), o, bytes.NewReader(nil), of)
	wantError(t, err, fs.ErrExist)
	if _, err := os.Stat(filepath.Join(dir+".partial", "keyring")); err != nil {
		t.Errorf("the other restore's directory has changed: %v", err)
	}
	close(killed)
	wantError(t, <-done, errBroken)
}

// stuck is a backup that stops coming.
type stuck struct{ entered, killed chan struct{} }

func (s *stuck) Read([]byte) (int, error) {
	close(s.entered)
	<-s.killed
	return 0, errBroken
}

// TestRestoreLeavesAnAnchorElsewhereAlone: it may be that of the store before,
// and the restored one is recognised whatever it says.
func TestRestoreLeavesAnAnchorElsewhereAlone(t *testing.T) {
	anchors := t.TempDir()
	w := newWorld(t, backends[0], func(o *rookery.Options) { o.Anchor = filepath.Join(anchors, "anchor") })
	alice := w.person(1)[0]
	of := holder(t)
	var saved bytes.Buffer
	if _, err := w.engine.Backup(w.context(), &saved, of.Recipient()); err != nil {
		t.Fatal(err)
	}
	w.close()
	before := tree(t, anchors)
	dir := filepath.Join(t.TempDir(), "store")
	o := rookery.Options{Dir: dir, Unlock: keyOf(dir), Anchor: filepath.Join(anchors, "anchor")}
	if _, err := rookery.Restore(t.Context(), o, &saved, of); err != nil {
		t.Fatal(err)
	}
	if after := tree(t, anchors); after != before {
		t.Error("the anchor has changed")
	}
	again := newWorld(t, inDirectory(dir), func(o *rookery.Options) { o.Anchor = filepath.Join(anchors, "anchor") })
	if !again.at(alice).Retired() {
		t.Error("the restored store was taken for the real one")
	}
	again.close()
	again.open()
	if n := len(again.engine.Identities()); n != 2 {
		t.Errorf("%d identities after another open, want alice and her successor", n)
	}
	w.configure = append(w.configure, func(o *rookery.Options) { o.Anchor = filepath.Join(t.TempDir(), "anchor") })
	w.open() // for its clean-up
}

func TestBackupOfAClosedEngineIsRefused(t *testing.T) {
	w := newWorld(t, backends[1])
	w.close()
	var out bytes.Buffer
	_, err := w.engine.Backup(w.context(), &out, holder(t).Recipient())
	wantError(t, err, rookery.ErrClosed)
	if out.Len() != 0 {
		t.Errorf("%d bytes were written", out.Len())
	}
}

func TestRestoreNeedsADirectoryAndAKey(t *testing.T) {
	for _, o := range []rookery.Options{{}, {Dir: t.TempDir()}, {Unlock: rookery.Passphrase("x")}} {
		_, err := rookery.Restore(t.Context(), o, bytes.NewReader(nil), holder(t))
		wantError(t, err, rookery.ErrOptions)
	}
}

// tree is all that lies in a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var content []byte
		if !entry.IsDir() {
			content, err = os.ReadFile(path)
		}
		_, _ = fmt.Fprintf(&all, "%s %v %x\n", path, entry.Type(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
