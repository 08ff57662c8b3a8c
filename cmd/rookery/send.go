package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rookery-im/rookery"
)

// SendCmd sends one message.
type SendCmd struct {
	hosted
	To     string        `name:"to" required:"" placeholder:"CONTACT" help:"Whom to: a public key, or the beginning of that of a known contact."`
	Text   []string      `arg:"" optional:"" help:"What to say; without it standard input is sent as it is."`
	NoWait bool          `name:"no-wait" help:"Do not wait for the network: what it has not taken by then goes out with the next command that has one."`
	Wait   time.Duration `name:"wait" default:"30s" help:"How long to wait for the network to take the message."`
}

// receiptView is what became of a message.
type receiptView struct {
	ID             string        `json:"id"`
	To             string        `json:"to"`
	Installations  []string      `json:"installations"` // of the recipient; "none" is whichever reads it
	ForwardSecrecy bool          `json:"forward_secrecy"`
	Taken          bool          `json:"taken"` // by the network
	Failed         []failureView `json:"failed,omitempty"`
}

// failureView is an installation that a message could not be encrypted for.
type failureView struct {
	Installation string `json:"installation"`
	Error        string `json:"error"`
}

func (v receiptView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.ID)
	field(w, "to", "%s", v.To)
	if v.ForwardSecrecy {
		field(w, "devices", "%d", len(v.Installations))
	} else {
		field(w, "devices", "any, without forward secrecy: none is known yet")
	}
	for _, f := range v.Failed {
		field(w, "not for", "%s: %s", plain(f.Installation), plain(f.Error))
	}
	field(w, "network", "%s", map[bool]string{true: "has taken it", false: "has not taken it yet; it waits in the store"}[v.Taken])
}

// errNotTaken: what was to go out waits in the store.
var errNotTaken = fmt.Errorf("%w: the network has not taken it in time", errBadResult)

// Run implements kong's command.
func (c *SendCmd) Run(out *output) error {
	payload, err := c.payload(out)
	if err != nil {
		return explained(err)
	}
	return c.withIdentity(out, needs{network: true}, func(ctx context.Context, i *rookery.Identity) error {
		to, err := pickContact(ctx, i, c.To)
		if err != nil {
			return err
		}
		receipt, err := i.Send(ctx, to, payload)
		if err != nil {
			return err
		}
		v := receiptView{ID: receipt.ID.String(), To: to.String(), Installations: receipt.Installations, ForwardSecrecy: receipt.ForwardSecrecy}
		for _, f := range receipt.Failed {
			v.Failed = append(v.Failed, failureView{f.Installation, f.Err.Error()})
		}
		if !c.NoWait {
			err = c.await(ctx, i, to, receipt.ID)
			v.Taken = err == nil
		}
		return errors.Join(c.show(out, v), err)
	})
}

// await waits for the network.
func (c *SendCmd) await(ctx context.Context, i *rookery.Identity, to rookery.PublicKey, id rookery.MessageID) error {
	waiting, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	err := i.AwaitTaken(waiting, to, id)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("%w (%v); it goes out with the next command that has a network", errNotTaken, c.Wait)
	}
	return err
}

// payload is what the message says.
func (c *SendCmd) payload(out *output) ([]byte, error) {
	if len(c.Text) > 0 {
		return checkedPayload([]byte(strings.Join(c.Text, " ")))
	}
	content, err := io.ReadAll(io.LimitReader(out.stdin, rookery.MaxPayload+1))
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return checkedPayload(content)
}

// checkedPayload refuses before a store is opened what would be refused after it.
func checkedPayload(content []byte) ([]byte, error) {
	switch {
	case len(content) == 0:
		return nil, fmt.Errorf("%w: there is nothing to send", rookery.ErrPayloadSize)
	case len(content) > rookery.MaxPayload:
		return nil, fmt.Errorf("%w: more than %d bytes", rookery.ErrPayloadSize, rookery.MaxPayload)
	}
	return content, nil
}
