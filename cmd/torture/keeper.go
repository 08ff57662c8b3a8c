package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
)

// runKeeper is the whole of a process that keeps what is sent: the NATS server, or
// the store of a Waku network. It ends when the parent is gone.
func runKeeper(in io.Reader, out io.Writer) error {
	start, err := readFrame(in)
	if err != nil {
		return err
	}
	if start.Kind != doServe || start.Reach == nil {
		return fmt.Errorf("nothing to serve, but %q", start.Kind)
	}
	address, err := start.Reach.serve(start.Text)
	// The port that it had before may have become somebody's end of a connection.
	for end := time.Now().Add(patience); inUse(err) && time.Now().Before(end); {
		time.Sleep(lookAgain)
		address, err = start.Reach.serve(start.Text)
	}
	if err != nil {
		return err
	}
	if err := writeFrame(out, frame{Kind: isServing, Text: address}); err != nil {
		return err
	}
	if _, err = readFrame(in); errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("told more than to serve: %w", err)
}

func (r *reach) serve(dir string) (address string, err error) {
	switch r.Network {
	case natsNetwork:
		return serveNATS(dir, r.Address)
	case wakuNetwork:
		return serveHistory(dir, r.History)
	}
	return "", fmt.Errorf("network %q", r.Network)
}

// inUse tells whether an address is somebody else's. A NATS server tells its cause as
// text.
func inUse(err error) bool {
	return err != nil && (errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), syscall.EADDRINUSE.Error()))
}

// keeper is what keeps the messages as the parent sees it.
type keeper struct {
	dice    *dice
	planned []int // at how many arrived messages it is killed

	process *process
	serves  bool
	killed  bool
	backAt  time.Time
	kills   []int
}

func newKeeper(c *ExchangeCmd, d *dice) *keeper {
	return &keeper{dice: d, planned: moments(c.Restarts, c.Messages, d)}
}

func (k *keeper) start(ctx context.Context, x *exchange) (err error) {
	k.serves, k.killed, k.backAt = false, false, time.Time{}
	if k.process, err = startProcess(ctx, keeperCommand, x.errors); err != nil {
		return err
	}
	x.forward(ctx, k.process, k)
	k.process.tell(frame{Kind: doServe, Reach: &x.reach, Text: x.dir})
	return nil
}

func (k *keeper) take(ctx context.Context, x *exchange, e event) error {
	if e.ended {
		err := k.process.wait()
		k.process = nil
		if !k.killed && ctx.Err() == nil {
			return fmt.Errorf("what keeps the messages has ended by itself: %w\n%s", err, x.errors.bytes())
		}
		k.backAt = time.Now().Add(k.dice.within(downTime))
		return ctx.Err()
	}
	if e.frame.Kind != isServing {
		return fmt.Errorf("what keeps the messages tells %q", e.frame.Kind)
	}
	x.history.note(x.lives(), "%s serves at %s", x.reach.Network, e.frame.Text)
	k.serves = true
	to := &x.reach.Address
	if x.reach.Network == wakuNetwork {
		to = &x.reach.History
	}
	if first := *to == ""; first {
		*to = e.frame.Text
		return x.startBoth(ctx)
	}
	return nil
}

func (k *keeper) step(ctx context.Context, x *exchange, now time.Time) error {
	n := len(k.kills)
	switch {
	case k.process == nil && isDue(k.backAt, now):
		return k.start(ctx, x)
	case k.serves && !k.killed && x.stage == stageTalking && n < len(k.planned) && x.arrived >= k.planned[n]:
		x.history.note(x.lives(), "%s is killed", x.reach.Network)
		k.killed, k.serves = true, false
		k.kills = append(k.kills, x.arrived)
		k.process.kill()
	}
	return nil
}
