package throughput

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/internal/bench/measure"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// encryptAndCommit is a session actor for each session and the Committer, each
// session with one commit in flight, compared with loops that encrypt and hand the
// same records to a goroutine that writes whatever has come in as one synced batch.
func encryptAndCommit(o Options) measure.Comparison {
	messages := o.Sizes.Sessions * o.Sizes.Commits
	open := func(ctx context.Context, c *closers) ([]measure.Way, error) {
		key, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			return nil, err
		}
		hosted, counted, err := o.openHosted(ctx, &key, c)
		if err != nil {
			return nil, err
		}
		plain, err := newSenders(&key, o.Sizes.Sessions)
		if err != nil {
			return nil, err
		}
		dir, remove, err := o.room()
		c.add(remove)
		if err != nil {
			return nil, err
		}
		store, err := o.openStore(ctx, dir)
		if err != nil {
			return nil, err
		}
		c.add(store.Close)
		return []measure.Way{
			{Name: measure.Rookery, Turn: func(context.Context, time.Duration) (measure.Figures, error) {
				batches, records := counted.batches.Load(), counted.records.Load()
				f, err := measure.Take(messages, func() error { return hosted.send(o.Sizes.Commits) })
				f.Batches, f.Commits, f.Records = counted.batches.Load()-batches, uint64(messages), counted.records.Load()-records //nolint:gosec // a count
				return f, err
			}},
			measure.Turn("loop with group commit", messages, func(ctx context.Context) error {
				return plainLoop(ctx, plain, o.Sizes.Commits, store)
			}),
		}, nil
	}
	return measure.Comparison{
		ID: "encrypt-and-commit", Title: fmt.Sprintf("encrypt and commit, %d sessions", o.Sizes.Sessions),
		Basis: measure.Clock, Wanted: 0.65, Open: opening(open),
	}
}

// opening closes what was opened, also when the rest cannot be.
func opening(open func(context.Context, *closers) ([]measure.Way, error)) func(context.Context) (measure.Opened, error) {
	return func(ctx context.Context) (measure.Opened, error) {
		var c closers
		ways, err := open(ctx, &c)
		if err != nil {
			return measure.Opened{}, errors.Join(err, c.close())
		}
		return measure.Opened{Ways: ways, Close: c.close}, nil
	}
}

// sender is what one session is made from.
type sender struct {
	key      *x3dh.IdentityKey
	place    sessionactor.Place
	sessions sessionactor.Sessions
	entry    sessionactor.Entry // of the peer
	own      sessionactor.Entry
}

// newSenders starts a session with each of so many peers.
func newSenders(key *x3dh.IdentityKey, n int) ([]*sender, error) {
	all := make([]*sender, n)
	peer, err1 := x3dh.GenerateIdentity(rand.Reader)
	prekey, err2 := x3dh.GeneratePreKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	now := time.Now().UnixNano()
	for i := range all {
		s := &sender{
			key:   key,
			entry: sessionactor.Entry{PreKey: prekey.Public(), Version: 1, Timestamp: now},
			own:   sessionactor.Entry{PreKey: prekey.Public(), Version: 1, Timestamp: now},
		}
		public := key.Public()
		s.place = sessionactor.Place{
			Owner: persistence.NewOwnerID(public[:], "own"),
			Ends:  sessionactor.Ends{Own: public, OwnInstallation: "own", Peer: peer.Public(), PeerInstallation: fmt.Sprint("peer-", i)},
		}
		if _, err := s.encrypt(); err != nil {
			return nil, err
		}
		all[i] = s
	}
	return all, nil
}

// encrypt is what the plain loop does: the step and its records.
func (s *sender) encrypt() ([]persistence.Record, error) {
	out := sessionactor.Outgoing{Payload: make([]byte, payloadSize), Entry: s.entry, Own: s.own}
	next, change, _, err := s.sessions.Send(s.key, s.place.Ends, out, time.Now().UnixNano(), rand.Reader)
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

// openHosted opens a store with sessions on it.
func (o Options) openHosted(ctx context.Context, key *x3dh.IdentityKey, c *closers) (*hostedSessions, *counting, error) {
	dir, remove, err := o.room()
	c.add(remove)
	if err != nil {
		return nil, nil, err
	}
	store, err := o.openStore(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	c.add(store.Close)
	counted := &counting{Store: store}
	// Not ctx: what is under way is finished also when no more is measured.
	committer := persistence.NewCommitter(counted, persistence.CommitterOptions{})
	c.add(func() error { return committer.Close(context.WithoutCancel(ctx)) })
	senders, err := newSenders(key, o.Sizes.Sessions)
	if err != nil {
		return nil, nil, err
	}
	h := &hostedSessions{senders: senders, handed: make([]sessionactor.Handover, len(senders))}
	system := actors.NewSystem(actors.Options{})
	c.add(func() error { return system.Shutdown(context.WithoutCancel(ctx)) })
	for i, s := range senders {
		ref, err := system.Spawn(fmt.Sprint("session-", i), func() actors.Actor {
			return sessionactor.New(sessionactor.Config{
				Identity: key, Place: s.place, Reader: committer, Random: rand.Reader,
				Limits: ratchet.DeployedLimits(), Handover: &h.handed[i],
			})
		})
		if err != nil {
			return nil, nil, err
		}
		h.refs = append(h.refs, ref)
		h.streams = append(h.streams, committer.NewStream(persistence.Fence{Owner: s.place.Owner}))
	}
	return h, counted, h.send(1) // the first message makes the session
}

// send has every session encrypt its messages, each when the one before it is
// durable.
func (h *hostedSessions) send(each int) error {
	var all sync.WaitGroup
	all.Add(len(h.refs))
	failed := make([]error, len(h.refs)) // each is its own session's
	for i := range h.refs {
		h.next(i, each, &failed[i], &all)
	}
	all.Wait()
	return errors.Join(failed...)
}

func (h *hostedSessions) next(i, left int, failed *error, all *sync.WaitGroup) {
	h.refs[i].Tell(&sessionactor.Encrypt{
		Payload: make([]byte, payloadSize),
		Entry:   &h.senders[i].entry,
		Own:     &h.senders[i].own,
		Now:     time.Now().UnixNano(),
		Reply: actors.ReplyFunc(func(r sessionactor.Encrypted, err error) {
			if err != nil {
				*failed = err
				all.Done()
				return
			}
			h.streams[i].Commit(r.Records, func(err error) {
				if left == 1 || err != nil {
					*failed = err
					all.Done()
					return
				}
				h.next(i, left-1, failed, all)
			})
			h.handed[i].Settle()
		}),
	})
}

// plainLoop is what the actors and the Committer are compared with.
func plainLoop(ctx context.Context, senders []*sender, commits int, store persistence.Store) error {
	type handed struct {
		sender  int
		records []persistence.Record
		err     error
	}
	ready := make(chan int, len(senders)) // senders with nothing in flight
	waiting := make(chan handed, len(senders))
	left := make([]int, len(senders))
	for i := range senders {
		left[i] = commits
		ready <- i
	}
	var loops sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		loops.Go(func() {
			for i := range ready {
				records, err := senders[i].encrypt()
				waiting <- handed{i, records, err}
			}
		})
	}
	defer loops.Wait()
	defer close(ready)
	for unfinished := len(senders); unfinished > 0; {
		batch := persistence.Batch{Fences: []persistence.Fence{{Owner: senders[0].place.Owner}}}
		var of []int
		for one, more := <-waiting, true; more; {
			if one.err != nil {
				return one.err
			}
			batch.Records, of = append(batch.Records, one.records...), append(of, one.sender)
			select {
			case one = <-waiting:
			default:
				more = false
			}
		}
		if err := store.Apply(ctx, batch); err != nil {
			return err
		}
		for _, i := range of {
			if left[i]--; left[i] > 0 {
				ready <- i
			} else {
				unfinished--
			}
		}
	}
	return nil
}
