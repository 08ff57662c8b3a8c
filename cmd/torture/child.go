package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/rookery-im/rookery"
)

// child is the process that is killed. It does what the parent tells it.
type child struct {
	plan   plan
	errors io.Writer
	logger *slog.Logger
	trap   *trap
	line   *line
	hosts  []*host       // once opened
	opened chan struct{} // closed when all engines are open

	write sync.Mutex
	out   io.Writer

	stop    chan struct{} // closed when the senders have to stop
	senders sync.WaitGroup
	looks   sync.WaitGroup // into the store, which has to be open
}

const (
	// sendersOfEach is how many senders with Send a side has.
	sendersOfEach = 2
	// directSender is the number of the one beside them.
	directSender = sendersOfEach
)

// runChild is the whole of a child: it reads what to do from in and tells what
// happens to out. It ends when it was told to close, or when the parent is gone.
func runChild(in io.Reader, out, errors io.Writer) error {
	c := newChild(out, errors)
	start, err := c.begun(in)
	if err != nil {
		return err
	}
	c.line = newLine(c.trap, c.tell)
	go func() {
		if err := c.begin(start.Text); err != nil {
			c.broken(err)
		}
	}()
	return c.obey(in)
}

func newChild(out, errors io.Writer) *child {
	return &child{out: out, errors: errors, opened: make(chan struct{}), stop: make(chan struct{})}
}

// begun says that the process is here, and waits for what it is to do.
func (c *child) begun(in io.Reader) (start frame, err error) {
	c.tell(frame{Kind: isHere})
	if start, err = readFrame(in); err != nil {
		return start, err
	}
	if start.Kind != doStart || start.Plan == nil {
		return start, fmt.Errorf("no plan, but %q", start.Kind)
	}
	c.plan = *start.Plan
	c.logger = childLogger(c)
	c.trap = &trap{tell: c.tell, hook: c.plan.Hook, left: c.plan.Pass}
	return start, nil
}

// tell writes one frame; what it says has reached the parent when it returns,
// even if the process ends then.
func (c *child) tell(f frame) {
	c.write.Lock()
	defer c.write.Unlock()
	if err := writeFrame(c.out, f); err != nil {
		os.Exit(exitError) // the parent is gone
	}
}

func (c *child) broken(err error) {
	c.tell(frame{Kind: isBroken, Text: err.Error()})
	os.Exit(exitError)
}

func (c *child) now() time.Time { return time.Now().Add(c.plan.Ahead) }

// stopping waits a moment, and tells whether the senders have to stop.
func (c *child) stopping(moment time.Duration) bool {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-c.stop:
		return true
	case <-timer.C:
		return false
	}
}

// begin opens both sides and lets them talk.
func (c *child) begin(dir string) error {
	ctx := context.Background()
	var opening sync.WaitGroup
	var failed [sides]error
	var hosts [sides]*host
	for s := range hosts {
		opening.Go(func() {
			hosts[s], failed[s] = c.open(ctx, dir, side(s), rookery.Options{Transport: c.line}, rookery.NewIdentity{})
		})
	}
	opening.Wait()
	if err := errors.Join(failed[:]...); err != nil {
		return err
	}
	for _, h := range hosts {
		other := hosts[h.side.other()].identity
		bundle, err := other.Bundle(ctx)
		if err == nil {
			err = h.meet(ctx, other.PublicKey(), bundle)
		}
		if err != nil {
			return err
		}
	}
	d := newDice(c.plan.Seed)
	for _, h := range hosts {
		to := hosts[h.side.other()].identity.PublicKey()
		for sender := range sendersOfEach {
			mine := d.fork()
			if !c.plan.Quiet[h.side] {
				c.senders.Go(func() { h.send(ctx, sender, to, mine) })
			}
		}
		mine := d.fork()
		if c.plan.Direct[h.side] {
			c.senders.Go(func() { h.sendDirectly(ctx, to, mine) })
		}
	}
	c.hosts = hosts[:]
	close(c.opened)
	c.tell(frame{Kind: isOpen})
	return nil
}

// obey carries out what the parent tells. It asks for nothing that needs open
// hosts before it was told that they are.
func (c *child) obey(in io.Reader) error {
	stopped := sync.OnceFunc(func() { close(c.stop) })
	for {
		f, err := readFrame(in)
		if errors.Is(err, io.EOF) {
			return nil // the parent is gone
		}
		if err != nil {
			return err
		}
		switch f.Kind {
		case doAccept:
			c.line.take(f)
		case doDeliver:
			if err := c.line.deliver(f); err != nil {
				return err
			}
		case doStop:
			stopped()
			go func() {
				c.senders.Wait()
				c.tell(frame{Kind: isStopped})
			}()
		case doLook:
			c.looks.Go(c.look)
		case doClose:
			stopped()
			go c.close()
		default:
			return fmt.Errorf("frame of kind %q", f.Kind)
		}
	}
}

// look tells how much is left in outboxes and inboxes, and in a history.
func (c *child) look() {
	<-c.opened
	var left, behind uint64
	for _, h := range c.hosts {
		n, err := h.store.waiting(context.Background())
		if err != nil {
			c.broken(err)
		}
		left += n
		behind += h.behind()
	}
	c.tell(frame{Kind: isLeft, Number: left, Target: behind})
}

// close closes the engines and ends the process.
func (c *child) close() {
	<-c.opened
	c.looks.Wait()
	var closing sync.WaitGroup
	for _, h := range c.hosts {
		closing.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := h.engine.Close(ctx); err != nil {
				c.broken(fmt.Errorf("close %v: %w", h.side, err))
			}
		})
	}
	closing.Wait()
	os.Exit(0)
}
