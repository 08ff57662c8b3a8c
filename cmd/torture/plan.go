package main

import "time"

// ending says how a life of the child is meant to end.
type ending string

const (
	atRandom ending = "random" // killed by the parent, any moment from its start on
	atHook   ending = "hook"   // kills itself, see hook
	inClose  ending = "close"  // killed by the parent while it closes
	atRest   ending = "rest"   // killed when all has arrived
	byClose  ending = "exit"   // not killed: it closes its engines and exits
)

// plan is what is to happen in one life. It is drawn from the seed of the
// round, so that it can be had again.
type plan struct {
	Life   int // its number in the round, from 0
	Seed   uint64
	Ending ending
	// Hook and Pass: the child kills itself when it passes the hook for the
	// Pass-th time.
	Hook hook
	Pass int
	// Work is how long the child may live from the moment that both engines are
	// open, or, if Early, from its first word; for a hook, the patience until it
	// is passed.
	Work  time.Duration
	Early bool
	// Closing is how much later than the word to close a kill inClose comes.
	Closing time.Duration
	// Ahead is how far the clock of the child is ahead of ours.
	Ahead time.Duration
	// Quiet are sides that do not send, so that chains get long; Direct those
	// that send directly, too.
	Quiet, Direct [sides]bool
	// Bound is that of the sealed stores: epochs of keys last half of it.
	Bound time.Duration
	// Drain: after its work the senders stop, and all has to arrive.
	Drain bool
}

const (
	clockStep    = 25 * time.Hour // more than signed prekeys last
	clockStepsIn = 125            // of 1,000 lives
	lastWork     = 40 * time.Millisecond
	randomWork   = 80 * time.Millisecond
	hookPatience = 400 * time.Millisecond
	closingTime  = 30 * time.Millisecond
	maxPass      = 24
)

// bounds are how long consumed keys may be recoverable: as deployed, and so
// short that epochs end in the middle of a life.
var bounds = []time.Duration{time.Hour, 200 * time.Millisecond}

// planner draws the plans of one round.
type planner struct {
	dice       *dice
	drainEvery int
	ahead      time.Duration
	life       int
}

// next plans one more life; the last of a round drains and is killed.
func (p *planner) next(last bool) plan {
	d := p.dice.fork()
	if d.chance(clockStepsIn) {
		p.ahead += clockStep
	}
	out := plan{Life: p.life, Seed: d.next(), Ahead: p.ahead, Bound: bounds[d.below(len(bounds))]}
	p.life++
	if d.chance(400) {
		out.Quiet[d.below(sides)] = true
	}
	for s := range out.Direct {
		out.Direct[s] = !out.Quiet[s] && d.chance(500)
	}
	if last || p.life%p.drainEvery == 0 {
		out.Drain, out.Work = true, d.within(lastWork)
		out.Ending = atRest
		if !last && d.chance(500) {
			out.Ending = byClose
		}
		return out
	}
	switch kind := d.below(10); {
	case kind < 6:
		out.Ending, out.Work = atHook, hookPatience
		out.Hook, out.Pass = hooks[d.below(len(hooks))], 1+d.below(1+d.below(maxPass))
		if out.Hook == beforeHandOver || out.Hook == afterHandOver {
			out.Direct[d.below(sides)] = true
		}
	case kind < 9:
		out.Ending, out.Work, out.Early = atRandom, d.within(randomWork), d.chance(300)
	default:
		out.Ending, out.Work, out.Closing = inClose, d.within(randomWork), d.within(closingTime)
	}
	return out
}
