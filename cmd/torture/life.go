package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/transport"
)

const (
	// patience is how long anything may take before it is stuck.
	patience = 60 * time.Second
	// settling is how long a drained world may owe something although nothing
	// is left anywhere: reports that are under way.
	settling = 2 * time.Second
	// lookEvery is how often a draining child is asked what is left.
	lookEvery = 5 * time.Millisecond
)

// life is one run of the child, from its start to its end.
type life struct {
	world   *world
	plan    plan
	process *process

	killedAs string // "" until it is killed
	stopping bool   // senders were told to stop
	stopped  bool   // and have
	drained  bool
	closing  bool
	open     bool
	asked    bool // what is left
	left     uint64
	quietAt  time.Time // since when nothing is left and something owed

	// What comes next at which time; zero for nothing.
	workEnds, dies, looks, gaveUp time.Time
}

// live runs the child once, and tells whether it was killed.
func (w *world) live(ctx context.Context, p plan) (killed bool, err error) {
	l := &life{world: w, plan: p}
	for s := range side(sides) {
		w.judge.begin(s)
	}
	began := time.Now()
	w.network.begin(began)
	if p.Drain {
		w.network.calm(began)
	} else {
		w.network.storm()
	}
	w.history.note(p.Life, "life begins: %+v", p)
	if l.process, err = startProcess(ctx, childCommand, w.errors); err != nil {
		return false, err
	}
	l.gaveUp = began.Add(patience)
	l.run(ctx)
	err = l.process.wait()
	w.history.note(p.Life, "life ends: %v, killed: %q", err, l.killedAs)
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	l.judgeEnd(err)
	w.tally.change(func(t *tally) {
		t.lives++
		t.busy += time.Since(began)
		if l.drained {
			t.drains++
		}
		if l.killedAs != "" {
			t.kills[l.killedAs]++
		} else {
			t.exits++
		}
	})
	return l.killedAs != "", nil
}

// run is the loop of the parent while the child lives.
func (l *life) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case f, ok := <-l.process.frames:
			if !ok {
				return
			}
			l.take(f)
		case <-timer.C:
		case <-cancelled:
			cancelled = nil // the context kills the process; its pipe ends then
		}
		timer.Reset(time.Until(l.step(time.Now())))
	}
}

// step does what is due, and says when there is something to do again.
func (l *life) step(now time.Time) time.Time {
	due, next := l.world.network.flush(now)
	for _, f := range due {
		l.world.history.note(l.plan.Life, "delivers %d, envelope %s", f.Number, fingerprint(f.Envelope.Payload))
		l.process.tell(f)
	}
	switch {
	case l.killedAs != "":
		return now.Add(patience)
	case isDue(l.gaveUp, now):
		l.giveUp()
	case isDue(l.dies, now):
		l.die(l.plan.Ending)
	case isDue(l.workEnds, now):
		l.workEnds = time.Time{}
		l.endWork(now)
	case isDue(l.looks, now) && !l.asked:
		l.asked = true
		l.process.tell(frame{Kind: doLook})
	}
	for _, at := range []time.Time{l.gaveUp, l.dies, l.workEnds, l.looks} {
		if !at.IsZero() && at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if next.IsZero() {
		next = now.Add(patience)
	}
	return next
}

func isDue(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// endWork is what happens when the child has worked long enough.
func (l *life) endWork(now time.Time) {
	switch {
	case l.plan.Drain:
		l.stopping = true
		l.process.tell(frame{Kind: doStop})
	case l.plan.Ending == inClose:
		l.close()
		l.dies = now.Add(l.plan.Closing)
	default:
		l.die(l.plan.Ending)
	}
}

func (l *life) close() {
	l.closing = true
	l.process.tell(frame{Kind: doClose})
}

// die kills the child.
func (l *life) die(as ending) {
	if l.killedAs != "" {
		return
	}
	l.killedAs = string(as)
	if as == atHook {
		l.killedAs = string(atRandom) // a hook that was not passed often enough
	}
	if !l.open {
		l.killedAs = "while it opens"
	}
	l.process.kill()
}

// giveUp ends a life that does not come to its end.
func (l *life) giveUp() {
	switch {
	case l.stopped:
		l.world.judge.drained(l.left, len(l.world.network.parcels))
	default:
		l.world.judge.blame(stuck, "the child is not done after %v: open %t, stopping %t, closing %t", patience, l.open, l.stopping, l.closing)
	}
	l.killedAs = "stuck"
	l.process.kill()
}

// take deals with what the child tells.
func (l *life) take(f frame) {
	w := l.world
	w.history.frame(l.plan.Life, f)
	now := time.Now()
	switch f.Kind {
	case isHere:
		if l.plan.Early {
			l.workEnds = now.Add(l.plan.Work)
		}
		l.process.tell(frame{Kind: doStart, Plan: &l.plan, Text: w.dir})
	case isOpen:
		l.open = true
		if !l.plan.Early {
			l.workEnds = now.Add(l.plan.Work)
		}
	case isHandedOver:
		l.handedOver(f, now)
	case isPublished:
		l.publish(f, now)
	case isListening:
		w.network.listen(transport.Topic(f.Text), f.Number)
	case isDeaf:
		w.network.deaf(f.Number)
	case isDone:
		w.network.done(f.Number, f.Text == "", now)
	case isDying:
		l.killedAs = f.Text
		l.process.kill() // it does so itself; a child that could not must not stay
	case isStopped:
		l.stopped, l.looks = true, now
	case isLeft:
		l.look(f.Number, now)
	default:
		w.witness(f)
	}
}

func (l *life) publish(f frame, now time.Time) {
	w := l.world
	e, err := f.Envelope.open()
	if err != nil {
		w.judge.blame(failure, "published: %v", err)
		return
	}
	w.judge.published(e)
	w.tally.change(func(t *tally) { t.published++ })
	answer := frame{Kind: doAccept, Number: f.Number}
	if !w.network.publish(e, now) {
		w.history.note(l.plan.Life, "does not accept %d", f.Number)
		answer.Text = "the network takes nothing"
	}
	l.process.tell(answer)
}

// handedOver takes a direct message. The network has it from here on.
func (l *life) handedOver(f frame, now time.Time) {
	w := l.world
	e, err := f.Envelope.open()
	if err != nil {
		w.judge.blame(failure, "handed over: %v", err)
		return
	}
	w.judge.published(e)
	w.judge.sent(f.Side, f.ID, f.Payload)
	w.network.carry(e, now)
	w.tally.change(func(t *tally) {
		t.published++
		t.direct++
	})
}

// look decides whether a drain is over.
func (l *life) look(left uint64, now time.Time) {
	l.asked, l.left, l.looks = false, left, now.Add(lookEvery)
	w := l.world
	if left > 0 || len(w.network.parcels) > 0 {
		l.quietAt = time.Time{}
		return
	}
	if len(w.judge.owed()) > 0 {
		if l.quietAt.IsZero() {
			l.quietAt = now
		}
		if now.Sub(l.quietAt) < settling {
			return
		}
	}
	w.judge.drained(0, 0)
	l.drained, l.looks = true, time.Time{}
	if l.plan.Ending == byClose {
		l.close()
		return
	}
	l.die(atRest)
}

// judgeEnd holds that the child ended as it was meant to.
func (l *life) judgeEnd(err error) {
	if l.killedAs != "" {
		return
	}
	switch {
	case !l.closing:
		l.world.judge.blame(failure, "the child has ended by itself: %v", err)
	case err != nil:
		l.world.judge.blame(failure, "the child has not closed well: %v", err)
	}
}

// describe is for the history.
func (p plan) String() string {
	return fmt.Sprintf("ending %s %s %d, work %v, closing %v, ahead %v, quiet %v, direct %v, bound %v, drain %t",
		p.Ending, p.Hook, p.Pass, p.Work, p.Closing, p.Ahead, p.Quiet, p.Direct, p.Bound, p.Drain)
}
