package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
)

// topicOfNobody is asked for in the history: what is asked has to be a topic.
const topicOfNobody carrier.Topic = "/rookery/1/doctor/none"

// networkReport adds what is found about the network.
type networkReport struct {
	r    *doctorResult
	spec transportSpec
	wait time.Duration
}

// examineNetwork looks whether the network is there, and keeps what is missed. It takes
// no messages, and makes nothing there. An error is that of a context that has ended.
func (c *DoctorCmd) examineNetwork(ctx context.Context, r *doctorResult) error {
	if c.Transport == "" {
		r.add(diagnosis{Severity: note, About: "network", What: "none was given, none was tried", Do: "--transport, or ROOKERY_TRANSPORT"})
		return nil
	}
	spec, err := parseTransport(c.Transport)
	if err != nil {
		r.fails("network", err, "see --transport in docs/command-line.md")
		return nil
	}
	n := networkReport{r, spec, c.Wait}
	switch spec.kind {
	case memoryTransport:
		n.add(warning, "memory is inside of one process: it reaches nobody else", "give a network with --transport")
	case wakuRESTTransport:
		n.node(ctx)
	case wakuTransport, natsTransport:
		n.carrier(ctx)
	}
	return ctx.Err()
}

func (n networkReport) add(s severity, what, do string) {
	n.r.add(diagnosis{Severity: s, About: "network", What: what, Do: do})
}

// away says that the network is not there, and why if that is known.
func (n networkReport) away(what string, err error) {
	d := diagnosis{
		Severity: failure, About: "network", What: string(n.spec.kind) + " " + what, Next: "what is sent waits in the store for 30 days, and goes out when the network is back",
		Do: "is the address right, does its server or node run, does a firewall stand between? (docs/operations.md, The network)",
	}
	if err != nil {
		d.What += ": " + inOneLine(err)
	}
	if hint := hintFor(err); hint != "" {
		d.Do = hint
	}
	n.r.add(d)
}

// node asks a Waku node over REST what it is: a carrier would take what the node has
// gathered for somebody else.
func (n networkReport) node(ctx context.Context) {
	options, err := restOptions(n.spec)
	var history *wakurest.History
	if err == nil {
		history, err = wakurest.NewHistory(options)
	}
	if err != nil {
		n.away("cannot be opened", err)
		return
	}
	defer func() { _ = history.Close() }() // it was only read
	var version string
	n.until(ctx, func(ctx context.Context) (done bool) {
		says, failed := history.Version(ctx)
		if failed == nil || err == nil || ctx.Err() == nil { // that there was no time left says little
			version, err = says, failed
		}
		return failed == nil
	})
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		n.away(fmt.Sprintf("is not there after %v", n.wait), err)
		return
	case version == "":
		n.add(note, fmt.Sprintf("%s is there, and does not say which version it is", n.spec.kind), "is it the REST interface of a Waku node?")
	default:
		n.add(fine, fmt.Sprintf("%s is there, version %s", n.spec.kind, version), "")
	}
	n.history(ctx, history.History)
}

// carrier opens the network and waits until it is there. Nothing is subscribed, so that
// nothing comes; a stream that is missing stays so.
func (n networkReport) carrier(ctx context.Context) {
	creates, err := n.spec.flag("create")
	var network carrier.Carrier
	if err == nil {
		opening, cancel := context.WithTimeout(ctx, n.wait)
		defer cancel()
		network, err = openCarrier(opening, n.spec.without("create"))
	}
	switch {
	case ctx.Err() != nil:
	case creates && errors.Is(err, jetstream.ErrNoStream):
		n.r.add(diagnosis{Severity: note, About: "network", What: "the server is there, its stream is not yet", Next: "the next command that uses the network makes it"})
	case err != nil:
		n.away("cannot be opened", err)
	}
	if network == nil {
		return
	}
	defer func() { _ = network.Close() }() // nothing was published
	var health carrier.Health
	n.until(ctx, func(context.Context) (done bool) {
		health = network.Health()
		return health.Ready
	})
	switch {
	case ctx.Err() != nil:
		return
	case !health.Ready:
		n.away(fmt.Sprintf("is not there after %v", n.wait), health.Err)
		return
	case health.Err != nil:
		n.add(warning, fmt.Sprintf("%s is there, %d connected, but not all works: %s", n.spec.kind, health.Peers, inOneLine(health.Err)), "docs/operations.md, The network")
	default:
		n.add(fine, fmt.Sprintf("%s is there, %d connected", n.spec.kind, health.Peers), "")
	}
	n.history(ctx, network.History)
}

// until tries again and again, for as long as the network may take.
func (n networkReport) until(ctx context.Context, done func(context.Context) bool) {
	ctx, cancel := context.WithTimeout(ctx, n.wait)
	defer cancel()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// history asks for what the network has kept of a topic that nobody uses.
func (n networkReport) history(ctx context.Context, ask func(context.Context, []carrier.Topic, int64, int64, func(carrier.Received) error) error) {
	asking, cancel := context.WithTimeout(ctx, n.wait)
	defer cancel()
	now := time.Now()
	err := ask(asking, []carrier.Topic{topicOfNobody}, now.Add(-time.Minute).UnixNano(), now.UnixNano(), func(carrier.Received) error { return nil })
	switch {
	case ctx.Err() != nil:
	case err == nil:
		n.add(fine, "its history answers", "")
	case errors.Is(err, carrier.ErrNoHistory):
		n.r.add(diagnosis{
			Severity: warning, About: "network", What: "it keeps no history",
			Next: "what is sent while the other does not listen does not come; contact codes that were published before are not found",
			Do:   "run the node with a store, or name one that has: store=URL of waku:, store-peer=MULTIADDR of wakurest:",
		})
	case errors.Is(err, jetstream.ErrDenied):
		n.add(note, "its history cannot be tried: the account may read only topics of its own", "")
	default:
		n.r.add(diagnosis{
			Severity: warning, About: "network", What: "its history does not answer: " + inOneLine(err),
			Next: "what was missed comes when it does", Do: "look at the store of the node or at the server (docs/operations.md, The network)",
		})
	}
}
