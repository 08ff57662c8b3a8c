package throughput

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// BenchmarkEncryptAndCommit is a session actor for each session and the
// Committer, each session with one commit in flight, compared with two loops
// that encrypt and hand the same records to a goroutine that writes whatever
// has come in as one synced batch.
func BenchmarkEncryptAndCommit(b *testing.B) {
	mine, plain := newSenders(b, *sessions), newSenders(b, *sessions)
	counted := &counting{Store: openStore(b)}
	committer := persistence.NewCommitter(counted, persistence.CommitterOptions{})
	b.Cleanup(func() {
		if err := committer.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	hosted := hostSessions(b, mine, committer)
	store := openStore(b)
	comparison{
		title:  fmt.Sprintf("encrypt and commit, %d sessions", *sessions),
		with:   "loop with group commit",
		wanted: 0.65,
		engine: func() figures { return hosted.talk(b, counted) },
		other:  func() figures { return plainLoop(b, plain, store) },
	}.run(b)
}

// counting notes what is applied to a store.
type counting struct {
	persistence.Store
	batches, records atomic.Uint64
}

// Apply implements persistence.Store.
func (c *counting) Apply(ctx context.Context, batch persistence.Batch) error {
	c.batches.Add(1)
	c.records.Add(uint64(len(batch.Records)))
	return c.Store.Apply(ctx, batch)
}

// sender is what one session is made from.
type sender struct {
	place    sessionactor.Place
	sessions sessionactor.Sessions
	entry    sessionactor.Entry // of the peer
	own      sessionactor.Entry
}

// key is the identity of all senders.
var key = func() x3dh.IdentityKey {
	key, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}()

// newSenders starts a session with each of so many peers.
func newSenders(b *testing.B, n int) []*sender {
	b.Helper()
	all := make([]*sender, n)
	peer, err := x3dh.GenerateIdentity(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	prekey, err := x3dh.GeneratePreKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UnixNano()
	for i := range all {
		s := &sender{
			entry: sessionactor.Entry{PreKey: prekey.Public(), Version: 1, Timestamp: now},
			own:   sessionactor.Entry{PreKey: prekey.Public(), Version: 1, Timestamp: now},
		}
		public := key.Public()
		s.place = sessionactor.Place{
			Owner: persistence.NewOwnerID(public[:], "own"),
			Ends:  sessionactor.Ends{Own: public, OwnInstallation: "own", Peer: peer.Public(), PeerInstallation: fmt.Sprint("peer-", i)},
		}
		if _, err := s.encrypt(); err != nil {
			b.Fatal(err)
		}
		all[i] = s
	}
	return all
}

// encrypt is what the plain loop does: the step and its records.
func (s *sender) encrypt() ([]persistence.Record, error) {
	out := sessionactor.Outgoing{Payload: make([]byte, payloadSize), Entry: s.entry, Own: s.own}
	next, change, _, err := s.sessions.Send(&key, s.place.Ends, out, time.Now().UnixNano(), rand.Reader)
	if err != nil {
		return nil, err
	}
	records := s.place.Records(change, &s.sessions)
	next.Apply(change)
	s.sessions = next
	return records, nil
}

// hostedSessions are session actors without the contact that they belong to.
type hostedSessions struct {
	senders []*sender
	refs    []actors.Ref
	streams []*persistence.Stream
	handed  []sessionactor.Handover
}

func hostSessions(b *testing.B, senders []*sender, committer *persistence.Committer) *hostedSessions {
	b.Helper()
	h := &hostedSessions{senders: senders, handed: make([]sessionactor.Handover, len(senders))}
	system := actors.NewSystem(actors.Options{})
	b.Cleanup(func() {
		if err := system.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	for i, s := range senders {
		ref, err := system.Spawn(fmt.Sprint("session-", i), func() actors.Actor {
			return sessionactor.New(sessionactor.Config{
				Identity: &key, Place: s.place, Reader: committer, Random: rand.Reader,
				Limits: ratchet.DeployedLimits(), Handover: &h.handed[i],
			})
		})
		if err != nil {
			b.Fatal(err)
		}
		h.refs = append(h.refs, ref)
		h.streams = append(h.streams, committer.NewStream(persistence.Fence{Owner: s.place.Owner}))
	}
	h.send(b, 1) // the first message makes the session
	return h
}

// talk has every session encrypt its messages, each when the one before it is
// durable.
func (h *hostedSessions) talk(b *testing.B, store *counting) figures {
	b.Helper()
	batches, records := store.batches.Load(), store.records.Load()
	f := measure(b, len(h.refs)**commits, func() { h.send(b, *commits) })
	f.counts = rookery.Counts{
		Batches: store.batches.Load() - batches,
		Commits: uint64(f.messages),
		Records: store.records.Load() - records,
	}
	return f
}

func (h *hostedSessions) send(b *testing.B, each int) {
	b.Helper()
	var all sync.WaitGroup
	all.Add(len(h.refs))
	for i := range h.refs {
		h.next(b, i, each, &all)
	}
	all.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func (h *hostedSessions) next(b *testing.B, i, left int, all *sync.WaitGroup) {
	h.refs[i].Tell(&sessionactor.Encrypt{
		Payload: make([]byte, payloadSize),
		Entry:   h.senders[i].entry,
		Own:     h.senders[i].own,
		Now:     time.Now().UnixNano(),
		Reply: actors.ReplyFunc(func(r sessionactor.Encrypted, err error) {
			if err != nil {
				b.Error(err)
				all.Done()
				return
			}
			h.streams[i].Commit(r.Records, func(err error) {
				if err != nil {
					b.Error(err)
				}
				if left == 1 || err != nil {
					all.Done()
					return
				}
				h.next(b, i, left-1, all)
			})
			h.handed[i].Settle()
		}),
	})
}

// plainLoop is what the actors and the Committer are compared with.
func plainLoop(b *testing.B, senders []*sender, store persistence.Store) figures {
	b.Helper()
	type handed struct {
		sender  int
		records []persistence.Record
	}
	ready := make(chan int, len(senders)) // senders with nothing in flight
	left := make([]int, len(senders))
	for i := range senders {
		left[i] = *commits
		ready <- i
	}
	return measure(b, len(senders)**commits, func() {
		waiting := make(chan handed, len(senders))
		var loops sync.WaitGroup
		for range cores {
			loops.Go(func() {
				for i := range ready {
					records, err := senders[i].encrypt()
					if err != nil {
						b.Error(err)
					}
					waiting <- handed{i, records}
				}
			})
		}
		for unfinished := len(senders); unfinished > 0; {
			first := <-waiting
			batch, of := persistence.Batch{Records: first.records}, []int{first.sender}
			for len(waiting) > 0 {
				one := <-waiting
				batch.Records, of = append(batch.Records, one.records...), append(of, one.sender)
			}
			batch.Fences = []persistence.Fence{{Owner: senders[0].place.Owner}}
			if err := store.Apply(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			for _, i := range of {
				if left[i]--; left[i] > 0 {
					ready <- i
				} else {
					unfinished--
				}
			}
		}
		close(ready)
		loops.Wait()
	})
}
