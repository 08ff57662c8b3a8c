package main

import (
	"context"
	"time"

	"github.com/rookery-im/rookery"
)

const (
	// sendsAtOnce is how many messages one side is told to send at a time.
	sendsAtOnce = 8
	// ahead is how many of its messages may be acknowledged and not told to the other
	// side before it is told to send further ones: so that the whole exchange goes on
	// through all lives, and is not over in the first.
	ahead = 100
	// lead is how many more messages than the other side it may have acknowledged:
	// who sends much is killed often, and would hear little of the other.
	lead = 200
	// killDelay is how much later than its message a kill comes at most.
	killDelay = 30 * time.Millisecond
	// downTime is how long what keeps the messages is away at most.
	downTime = time.Second
)

// talker is one side as the parent sees it: a speaker in one life after the other.
type talker struct {
	side    side
	key     []byte
	public  rookery.PublicKey
	dice    *dice
	share   int   // messages it has to have acknowledged
	planned []int // at how many of them it is killed

	process *process
	lives   int
	card    []byte // its bundle
	met     bool   // in this life
	open    bool
	closing bool
	dieAt   time.Time
	killed  bool
	busy    int // messages of this life without an outcome

	given        int // messages it was told to send
	acknowledged int
	unanswered   int // whose Send a kill has cut short
	underWay     int // acknowledged, and not told to the other side
	kills        []int

	asked, looked bool
	left, behind  uint64
}

func newTalker(s side, c *ExchangeCmd, d *dice) *talker {
	t := &talker{side: s, dice: d, key: make([]byte, 32), share: c.Messages / sides}
	if s == alice {
		t.share = c.Messages - t.share
	}
	for i := range t.key { // far below the order of the group
		t.key[i] = byte(d.below(255)) //nolint:gosec // it fits
	}
	t.planned = moments(c.Kills, t.share, d)
	return t
}

// moments are numbers of messages, one drawn from each of so many equal parts.
func moments(count, of int, d *dice) []int {
	var all []int
	for i := range count {
		from, to := i*of/count, (i+1)*of/count
		all = append(all, from+d.below(max(to-from, 1)))
	}
	return all
}

// start begins one more life.
func (t *talker) start(ctx context.Context, x *exchange) (err error) {
	x.judge.begin(t.side)
	t.lives++
	t.met, t.open, t.closing, t.killed, t.asked, t.looked, t.dieAt = false, false, false, false, false, false, time.Time{}
	p := plan{Life: t.lives, Seed: t.dice.next(), Bound: time.Hour, Drain: len(t.kills) == len(t.planned)}
	x.history.note(t.lives, "%v begins: %+v", t.side, p)
	if t.process, err = startProcess(ctx, speakerCommand, x.errors); err != nil {
		return err
	}
	x.forward(ctx, t.process, t)
	t.process.tell(frame{Kind: doStart, Plan: &p, Text: x.dir, Side: t.side, Payload: t.key, Reach: &x.reach})
	return nil
}

// ended is the end of a life.
func (t *talker) ended(ctx context.Context, x *exchange) error {
	err := t.process.wait()
	t.process = nil
	x.history.note(t.lives, "%v ends: %v, killed: %t", t.side, err, t.killed)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case t.killed:
		t.unanswered += t.busy
		t.busy = 0
		return t.start(ctx, x)
	case !t.closing:
		x.judge.blame(failure, "%v has ended by itself: %v", t.side, err)
	case err != nil:
		x.judge.blame(failure, "%v has not closed well: %v", t.side, err)
	default:
		return x.closed(ctx)
	}
	return nil
}

func (t *talker) close() {
	t.closing = true
	t.process.tell(frame{Kind: doClose})
}

// take deals with what the speaker tells.
func (t *talker) take(x *exchange, f frame) {
	now := time.Now()
	switch f.Kind {
	case isHere, isMeant: // who is told to send it is known to mean it
	case isCard:
		t.card = f.Payload
		x.introduce()
	case isOpen:
		t.open, x.moved = true, now
	case isLeft:
		t.asked, t.looked, t.left, t.behind = false, true, f.Number, f.Target
	case isSent:
		x.witness(f)
		x.moved = now
		t.busy--
		t.acknowledged++
		if m := x.judge.messages[string(f.Payload)]; m != nil && !m.told {
			t.underWay++
		}
	case isFailed:
		x.witness(f)
		t.busy--
	case isTold:
		before := x.judge.messages[string(f.Payload)]
		if before != nil && !before.told {
			x.arrived++
			if before.acknowledged {
				x.speakers[t.side.other()].underWay--
			}
		}
		x.moved = now
		x.witness(f)
	default:
		x.witness(f)
	}
}

// introduce tells those who wait for it who the other side is.
func (x *exchange) introduce() {
	for _, t := range x.speakers {
		other := x.speakers[t.side.other()]
		if t.process != nil && !t.met && t.card != nil && other.card != nil {
			t.met = true
			t.process.tell(frame{Kind: doMeet, Peer: other.public[:], Payload: other.card})
		}
	}
}

// step has the speaker send, and kills it when that is due.
func (t *talker) step(x *exchange, now time.Time) {
	if !t.open || t.killed || x.stage != stageTalking {
		return
	}
	if n := len(t.kills); n < len(t.planned) && t.dieAt.IsZero() && t.acknowledged >= t.planned[n] {
		t.dieAt = now.Add(t.dice.within(killDelay))
	}
	if isDue(t.dieAt, now) {
		t.killed = true
		t.kills = append(t.kills, t.acknowledged)
		t.process.kill()
		return
	}
	other := x.speakers[t.side.other()]
	most := min(t.share, other.acknowledged+lead)
	for t.busy < sendsAtOnce && t.acknowledged+t.busy < most && t.underWay+t.busy < ahead {
		t.given++
		t.busy++
		// Before the other side can have heard of it: what two processes tell has no order.
		next := payload(t.side, t.lives, 0, t.given, t.dice)
		x.judge.meant(t.side, next)
		t.process.tell(frame{Kind: doSend, Payload: next})
	}
}

// isThrough: all is sent, and all kills have come.
func (t *talker) isThrough() bool {
	return t.open && !t.killed && t.busy == 0 && t.acknowledged == t.share && len(t.kills) == len(t.planned)
}
