package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/storetest"
)

func TestFailedBatchFailsItsStreamsAndNoOthers(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{MaxBatch: 2})
	a, b, c := p.committer.NewStream(persistence.Fence{}), p.committer.NewStream(persistence.Fence{}), p.committer.NewStream(persistence.Fence{})
	p.commit(a, "a0", put("a", "0"))
	p.expect(result{"a0", nil})

	release := p.hold()
	p.store.FailApply(1, errDisk)
	p.commit(a, "a1", put("a", "1"), del("x")) // fills the batch that fails
	p.commit(b, "b1", put("b", "1"))
	p.commit(c, "c1", put("c", "1"))
	p.commit(a, "a2", put("a", "2"), put("later", "2")) // queued behind it
	p.reads(session("a"), "2")
	release()
	p.expect(result{"held", nil}, result{"a1", errDisk}, result{"b1", nil}, result{"c1", nil}, result{"a2", persistence.ErrStreamFailed})
	p.reads(session("a"), "0")
	p.lacks(session("later"))
	p.scans("", "session/a=0", "session/b=1", "session/c=1", "session/held=")
	if got := p.committer.Queued(); got != 0 {
		t.Errorf("%d records queued at rest", got)
	}
}

// TestLostStateNeverComesBack proves rule 6 of the design for the committer: after a
// failure nothing that was computed before Resume becomes durable, also what was
// still queued when Resume was called.
func TestLostStateNeverComesBack(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{MaxBatch: 1})
	stream, other := p.committer.NewStream(persistence.Fence{}), p.committer.NewStream(persistence.Fence{})
	release := p.hold()
	p.store.FailApply(1, errDisk)
	stream.Commit([]persistence.Record{put("s", "1")}, func(err error) {
		// The queue holds "stale" now. Nothing shows it any more, and resuming
		// before its continuation has run must not let it through.
		if _, err := p.committer.Get(context.Background(), session("s")); !errors.Is(err, persistence.ErrNotFound) {
			t.Errorf("reading what was lost: %v, want ErrNotFound", err)
		}
		stream.Resume()
		p.results <- result{"failed", err}
		p.commit(stream, "fresh", put("s", "fresh"))
	})
	p.commit(stream, "stale", put("s", "2"), put("t", "2")) // one name more: a batch of its own
	p.commit(other, "other", put("o", "1"))
	release()
	p.expect(result{"held", nil}, result{"failed", errDisk}, result{"stale", persistence.ErrStreamFailed},
		result{"other", nil}, result{"fresh", nil})
	p.reads(session("s"), "fresh")
	p.lacks(session("t"))
}

// A new owner waits for what the one before has committed; if that fails while
// it waits, its own commits are not held to account for it.
func TestRestartStartsAfreshAfterAFailureDuringItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPipe(t, persistence.CommitterOptions{MaxBatch: 1})
		stream := p.committer.NewStream(persistence.Fence{})
		release := p.hold()
		p.store.FailApply(1, errDisk)
		p.commit(stream, "before", put("a", "1"))
		restarted := make(chan struct{})
		go func() {
			stream.Restart()
			close(restarted)
		}()
		synctest.Wait() // for it to be waiting
		release()
		p.expect(result{"held", nil}, result{"before", errDisk})
		<-restarted
		p.commit(stream, "after", put("a", "2"))
		p.expect(result{"after", nil})
		p.reads(session("a"), "2")
	})
}

func TestStreamStaysFailedUntilResumed(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	p.store.FailApply(1, errDisk)
	p.commit(stream, "1", put("a", "1"))
	p.expect(result{"1", errDisk})
	for range 3 {
		p.commit(stream, "again", put("a", "2"))
		p.expect(result{"again", persistence.ErrStreamFailed})
	}
	p.lacks(session("a"))
	stream.Resume()
	p.commit(stream, "2", put("a", "2"))
	p.expect(result{"2", nil})
	p.reads(session("a"), "2")
}

func TestStreamErrorTellsTheFirstCause(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	p.store.FailApply(1, errDisk)
	p.commit(stream, "1", put("a", "1"))
	p.expect(result{"1", errDisk})
	p.commit(stream, "2", put("a", "2"))
	p.expect(result{"2", errDisk})
}

func TestBadNameFailsItsOwnStreamOnly(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	good, bad := p.committer.NewStream(persistence.Fence{}), p.committer.NewStream(persistence.Fence{})
	release := p.hold()
	p.commit(good, "good", put("a", "1"))
	p.commit(bad, "bad", put("b", "1"), persistence.Record{Name: "\x7f"})
	p.commit(bad, "behind", put("b", "2"))
	p.lacks(session("b"))
	release()
	p.expect(result{"held", nil}, result{"good", nil}, result{"bad", persistence.ErrBadName}, result{"behind", persistence.ErrStreamFailed})
	p.lacks(session("b"))
}

// TestFencedOwnerFailsAlone is T15 in one batch: the owners who were taken over
// lose their commits, everyone who shares the batch keeps theirs.
func TestFencedOwnerFailsAlone(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	streams := make([]*persistence.Stream, 6)
	for i := range streams {
		owner := persistence.NewOwnerID([]byte{byte(i)}, "1")
		epoch, err := p.store.Own(t.Context(), owner)
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: epoch})
		if i%3 == 1 { // 1 and 4 are taken over
			if _, err := p.store.Own(t.Context(), owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	release := p.hold()
	want := []result{{"held", nil}}
	for round := range 2 {
		for i, stream := range streams {
			label := fmt.Sprintf("%d-%d", i, round)
			p.commit(stream, label, put(fmt.Sprint(i), label))
			fate := result{label, nil}
			if i%3 == 1 {
				fate.err = persistence.ErrFenced
			}
			want = append(want, fate)
		}
	}
	release()
	p.expect(want...)
	for i := range streams {
		if i%3 == 1 {
			p.lacks(session(fmt.Sprint(i)))
		} else {
			p.reads(session(fmt.Sprint(i)), fmt.Sprintf("%d-1", i))
		}
	}
	streams[1].Resume() // does not bring the epoch back
	p.commit(streams[1], "resumed", put("1", "resumed"))
	p.expect(result{"resumed", persistence.ErrFenced})
}

// TestFencedWriteUncoversTheOtherOwners: two holders of one installation write
// one record into one batch; the present owner's write is the one that holds,
// whichever came last.
func TestFencedWriteUncoversTheOtherOwners(t *testing.T) {
	for _, oldLast := range []bool{false, true} {
		p := newPipe(t, persistence.CommitterOptions{})
		owner := persistence.NewOwnerID([]byte("alice"), "1")
		for range 2 {
			if _, err := p.store.Own(t.Context(), owner); err != nil {
				t.Fatal(err)
			}
		}
		old := p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: 1})
		present := p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: 2})
		release := p.hold()
		want := []result{{"held", nil}, {"old", persistence.ErrFenced}, {"present", nil}}
		if oldLast {
			p.commit(present, "present", put("a", "present"))
			p.commit(old, "old", put("a", "old"))
			want[1], want[2] = want[2], want[1]
		} else {
			p.commit(old, "old", put("a", "old"))
			p.commit(present, "present", put("a", "present"))
		}
		release()
		p.expect(want...)
		p.reads(session("a"), "present")
	}
}

// TestManyStreamsUnderFailingStore drives actors against a store that fails at
// random. Each counts up its own record from what it reads after a failure; a
// count that is acknowledged must never be lost, repeated or skipped.
func TestManyStreamsUnderFailingStore(t *testing.T) {
	const seed, actors, steps = 1, 16, 300
	t.Logf("seed %d: go test -race -run TestManyStreamsUnderFailingStore ./persistence", seed)
	store := storetest.NewFaulty(memory.New())
	random := rand.New(rand.NewPCG(seed, 0))
	for n := 1; n < 4000; n += 1 + random.IntN(20) {
		store.FailApply(n, errDisk)
	}
	committer := persistence.NewCommitter(store, persistence.CommitterOptions{MaxBatch: 5})

	var all sync.WaitGroup
	for actor := range actors {
		all.Go(func() {
			name := session(fmt.Sprint(actor))
			stream := committer.NewStream(persistence.Fence{})
			type told struct {
				count int
				err   error
			}
			news := make(chan told, steps)
			acknowledged, count, waiting := 0, 0, 0
			hear := func(one told) {
				waiting--
				switch {
				case one.err == nil && one.count != acknowledged+1:
					t.Errorf("actor %d: count %d acknowledged after %d", actor, one.count, acknowledged)
				case one.err == nil:
					acknowledged = one.count
				case !errors.Is(one.err, errDisk):
					t.Errorf("actor %d: %v", actor, one.err)
				}
			}
			for range steps {
				count++
				waiting++
				mine := count
				stream.Commit([]persistence.Record{{Name: name, Value: fmt.Append(nil, mine)}}, func(err error) { news <- told{mine, err} })
				if count%7 != 0 {
					continue
				}
				for waiting > 0 {
					hear(<-news)
				}
				if acknowledged == count {
					continue
				}
				// Something failed: go on from what is durable.
				value, err := committer.Get(context.Background(), name)
				if err != nil && !errors.Is(err, persistence.ErrNotFound) {
					t.Errorf("actor %d: %v", actor, err)
				}
				if got := string(value); acknowledged > 0 && got != fmt.Sprint(acknowledged) {
					t.Errorf("actor %d reads %s after %d was acknowledged", actor, got, acknowledged)
				}
				count = acknowledged
				stream.Resume()
			}
			for waiting > 0 {
				hear(<-news)
			}
			if acknowledged == 0 {
				t.Errorf("actor %d: nothing was ever acknowledged", actor)
			}
		})
	}
	all.Wait()
	if err := committer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := committer.Queued(); got != 0 {
		t.Errorf("%d records queued after Close", got)
	}
}

// Who wakes waits for what he starts from, and not for everybody else.
func TestRestartWaitsOnlyForTheStateItStartsFrom(t *testing.T) {
	name := func(kind persistence.Kind, parts ...string) persistence.Name {
		raw := make([][]byte, len(parts))
		for i := range parts {
			raw[i] = []byte(parts[i])
		}
		return persistence.NewName(kind, raw...)
	}
	state := []persistence.Name{
		name(persistence.KindContact, "owner", "peer"),
		name(persistence.KindSession, "owner", "peer"),
		name(persistence.KindPrekey, "owner"),
	}
	for _, test := range []struct {
		inFlight persistence.Name
		of       []persistence.Name
		waits    bool
	}{
		{name(persistence.KindContact, "owner", "peer"), state, true},
		{name(persistence.KindSession, "owner", "peer", "device", "id"), state, true},
		{name(persistence.KindPrekey, "owner", "1"), state, true},
		{name(persistence.KindContact, "owner", "peer2"), state, false},
		{name(persistence.KindContact, "owner2", "peer"), state, false},
		{name(persistence.KindInbox, "owner", "peer", "id"), state, false},
		{name(persistence.KindPrekey, "owner2", "1"), state, false},
		{name(persistence.KindContact, "other"), nil, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPipe(t, persistence.CommitterOptions{MaxBatch: 1})
			release := p.hold()
			p.commit(p.committer.NewStream(persistence.Fence{}), "before", persistence.Record{Name: test.inFlight, Value: []byte("1")})
			restarted := make(chan struct{})
			go func() {
				p.committer.NewStream(persistence.Fence{}).Restart(test.of...)
				close(restarted)
			}()
			synctest.Wait()
			waits := true
			select {
			case <-restarted:
				waits = false
			default:
			}
			if waits != test.waits {
				t.Errorf("%v in flight, from %v: waits %v", test.inFlight, test.of, waits)
			}
			release()
			<-restarted
			p.expect(result{"held", nil}, result{"before", nil})
		})
	}
}
