package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// passing takes nothing: the doctor reads no messages.
type passing struct{}

// Deliver implements carrier.Receiver.
func (passing) Deliver(carrier.Received) {}

// Gap implements carrier.Receiver.
func (passing) Gap(int64) {}

// examineNetwork opens the network and waits until it is there.
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
	if spec.kind == memoryTransport {
		r.add(diagnosis{Severity: warning, About: "network", What: "memory is inside of one process: it reaches nobody else", Do: "give a network with --transport"})
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	away := diagnosis{
		Severity: failure, About: "network", Next: "what is sent waits in the store for 30 days, and goes out when the network is back",
		Do: "is the address right, does its server or node run, does a firewall stand between? (docs/operations.md, The network)",
	}
	network, err := openCarrier(ctx, spec)
	if err != nil {
		away.What = fmt.Sprintf("%s cannot be opened: %s", spec.kind, said(err))
		if hint := hintFor(err); hint != "" {
			away.Do = hint
		}
		r.add(away)
		return nil
	}
	defer func() { _ = network.Close() }() // nothing was published
	network.Receive(passing{})
	for !network.Health().Ready {
		select {
		case <-ctx.Done():
			away.What = fmt.Sprintf("%s is not there after %v", spec.kind, c.Wait)
			if err := network.Health().Err; err != nil {
				away.What += ": " + said(err)
			}
			r.add(away)
			return nil
		case <-time.After(20 * time.Millisecond):
		}
	}
	r.add(diagnosis{Severity: fine, About: "network", What: fmt.Sprintf("%s is there, %d connected", spec.kind, network.Health().Peers)})
	return nil
}
