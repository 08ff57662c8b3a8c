package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rookery-im/rookery/x3dh"
)

// ExchangeCmd has two processes exchange messages over a network while each of them
// is killed, and what keeps the messages, too.
type ExchangeCmd struct {
	Network  string        `required:"" enum:"nats,waku" help:"Which network: nats, a JetStream server, or waku, relay with a REST store."`
	Messages int           `default:"10000" help:"How many messages in all, half of them in each direction."`
	Kills    int           `default:"20" help:"How often each of the two processes is killed."`
	Restarts int           `default:"20" help:"How often the NATS server, or the Waku store, is killed."`
	First    uint64        `default:"1" help:"The seed."`
	Patience time.Duration `default:"90s" help:"How long nothing may go on before it is stuck: longer than any pause of a network that was away for a moment; while processes start or send at least a minute."`
	Dir      string        `help:"Where the directory of the exchange is made (default: the system's temporary directory)." type:"path"`
}

// Run carries out the command.
func (c *ExchangeCmd) Run(ctx context.Context, stdout, stderr io.Writer) error {
	if c.Messages < 2 || c.Kills < 0 || c.Restarts < 0 || c.Patience <= 0 {
		return errors.New("--messages is at least 2, --kills and --restarts are not negative, --patience is positive")
	}
	if c.Dir != "" {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp(c.Dir, fmt.Sprintf("torture-%s-%d-*", c.Network, c.First))
	if err != nil {
		return err
	}
	x := &exchange{
		world:   &world{seed: c.First, dir: dir, judge: newJudge(), history: newHistory(), errors: new(journal), tally: newTally()},
		command: c, dice: newDice(c.First), progress: stderr, events: make(chan event, 256), began: time.Now(),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := x.run(ctx); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	x.print(stdout)
	if len(x.judge.violations) == 0 {
		return os.RemoveAll(dir)
	}
	failed := &roundError{x.seed, x.lives(), dir, x.judge.violations}
	x.history.note(failed.life, "%v", failed)
	_, _ = fmt.Fprintf(stdout, "repeat: go run ./cmd/torture exchange --network=%s --first=%d --messages=%d --kills=%d --restarts=%d\n",
		c.Network, c.First, c.Messages, c.Kills, c.Restarts)
	return errors.Join(fmt.Errorf("%w: %w", errViolated, failed), x.keep())
}

const (
	// stillness is how long nothing may happen at the very end.
	stillness = 3 * time.Second
	// lookAgain is how often the two are asked what is left.
	lookAgain = 100 * time.Millisecond
	tick      = 5 * time.Millisecond
)

// stage is how far an exchange is.
type stage string

const (
	stageTalking  stage = "talking"
	stageSettling stage = "settling" // all is sent, and has to arrive
	stageClosing  stage = "closing"
	stageAgain    stage = "again" // both once more, and nothing may come any more
	stageLeaving  stage = "leaving"
	stageOver     stage = "over"
)

// exchange is one world with two speakers on a network. One goroutine at a time.
type exchange struct {
	*world
	command  *ExchangeCmd
	dice     *dice
	progress io.Writer
	events   chan event

	reach    reach
	hub      *hub // nil of NATS
	keeper   *keeper
	speakers [sides]*talker

	stage    stage
	began    time.Time
	moved    time.Time // when something has gone on last
	lookAt   time.Time
	reported time.Time
	arrived  int // messages that were told
}

// event is what a process tells, or that it has ended.
type event struct {
	from  any // a *talker or the *keeper
	frame frame
	ended bool
}

// forward hands on what a process tells.
func (x *exchange) forward(ctx context.Context, p *process, from any) {
	send := func(e event) bool {
		select {
		case x.events <- e:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		for f := range p.frames {
			if !send(event{from: from, frame: f}) {
				break
			}
		}
		for range p.frames { // so that who writes them ends
		}
		send(event{from: from, ended: true})
	}()
}

// run is the whole exchange. Its errors say why it could not be carried out.
func (x *exchange) run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, x.end()) }()
	if err := x.open(ctx); err != nil {
		return err
	}
	x.stage, x.moved = stageTalking, time.Now()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for x.stage != stageOver && len(x.judge.violations) == 0 {
		select {
		case e := <-x.events:
			err = x.take(ctx, e)
		case <-ticker.C:
			err = x.step(ctx, time.Now())
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// open makes the two and what is between them.
func (x *exchange) open(ctx context.Context) error {
	var keys [sides]x3dh.IdentityKey
	for s := range keys {
		x.speakers[s] = newTalker(side(s), x.command, x.dice.fork())
		key, err := x3dh.NewIdentity(x.speakers[s].key)
		if err != nil {
			return err
		}
		keys[s] = key
		x.speakers[s].public = key.Public()
	}
	x.reach.Network = x.command.Network
	if x.command.Network == wakuNetwork {
		var err error
		if x.hub, x.reach.Address, err = openHub(ctx, x.dir, keys); err != nil {
			return err
		}
	}
	x.keeper = newKeeper(x.command, x.dice.fork())
	return x.keeper.start(ctx, x)
}

// end ends all processes and the network.
func (x *exchange) end() error {
	for _, t := range x.speakers {
		if t != nil && t.process != nil {
			t.process.kill()
			_ = t.process.wait() // it was killed
		}
	}
	if x.keeper != nil && x.keeper.process != nil {
		x.keeper.process.kill()
		_ = x.keeper.process.wait() // it was killed
	}
	if x.hub != nil {
		return x.hub.close()
	}
	return nil
}

// take deals with what a process tells.
func (x *exchange) take(ctx context.Context, e event) error {
	if k, ok := e.from.(*keeper); ok {
		return k.take(ctx, x, e)
	}
	t := e.from.(*talker)
	if e.ended {
		return t.ended(ctx, x)
	}
	x.history.frame(t.lives, e.frame)
	t.take(x, e.frame)
	return nil
}

// step does what is due.
func (x *exchange) step(ctx context.Context, now time.Time) error {
	if now.Sub(x.reported) > progressEvery {
		x.reported = now
		_, _ = fmt.Fprintln(x.progress, x.line())
	}
	if now.Sub(x.moved) > x.patience() {
		x.stuck()
		return nil
	}
	if err := x.keeper.step(ctx, x, now); err != nil {
		return err
	}
	ready := true
	for _, t := range x.speakers {
		t.step(x, now)
		ready = ready && t.isThrough()
	}
	if x.stage == stageTalking && ready && len(x.keeper.kills) == x.command.Restarts && x.keeper.serves {
		x.enter(stageSettling, now)
	}
	x.look(now)
	return nil
}

// patience is how long nothing may go on now. Processes that start, and messages that
// are on their way to the disk of their sender, have a minute at least.
func (x *exchange) patience() time.Duration {
	for _, t := range x.speakers {
		if !t.open || x.stage == stageTalking {
			return max(x.command.Patience, patience)
		}
	}
	return x.command.Patience
}

func (x *exchange) enter(s stage, now time.Time) {
	x.history.note(x.lives(), "stage: %s", s)
	x.stage, x.moved, x.lookAt = s, now, now
	for _, t := range x.speakers {
		t.looked = false
	}
}

// look asks how much is left, at the end, and goes on when it is nothing.
func (x *exchange) look(now time.Time) {
	if x.stage != stageSettling && x.stage != stageAgain || now.Before(x.lookAt) {
		return
	}
	x.lookAt = now.Add(lookAgain)
	done := true
	for _, t := range x.speakers {
		done = done && t.open && t.looked && t.left == 0 && (x.stage == stageSettling || t.behind == 0)
		if t.open && !t.asked {
			t.asked = true
			t.process.tell(frame{Kind: doLook})
		}
	}
	switch {
	case !done || len(x.judge.owed()) > 0:
	case x.stage == stageSettling:
		x.judge.drained(0, 0)
		x.leave(stageClosing, now)
	case now.Sub(x.moved) > stillness:
		x.leave(stageLeaving, now)
	}
}

// leave has both close.
func (x *exchange) leave(s stage, now time.Time) {
	x.enter(s, now)
	for _, t := range x.speakers {
		t.close()
	}
}

// closed goes on when both have closed.
func (x *exchange) closed(ctx context.Context) error {
	for _, t := range x.speakers {
		if t.process != nil {
			return nil
		}
	}
	if x.stage == stageLeaving {
		x.stage = stageOver
		return nil
	}
	x.enter(stageAgain, time.Now())
	return x.startBoth(ctx)
}

func (x *exchange) startBoth(ctx context.Context) error {
	for _, t := range x.speakers {
		if err := t.start(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

// stuck passes judgement when nothing goes on any more.
func (x *exchange) stuck() {
	var left uint64
	for _, t := range x.speakers {
		left += t.left
		x.judge.blame(stuck, "%v, %s: nothing has gone on for %v: open %t, %d of %d acknowledged, %d without an outcome, %d killed, %d left, %d behind",
			t.side, x.stage, x.patience(), t.open, t.acknowledged, t.share, t.busy, len(t.kills), t.left, t.behind)
	}
	x.judge.drained(left, 0)
}

func (x *exchange) lives() int { return x.speakers[alice].lives + x.speakers[bob].lives }
