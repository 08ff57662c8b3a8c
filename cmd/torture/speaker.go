package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier"
)

// speaker is the process of one side: an engine on a network that other processes
// share.
type speaker struct {
	*child
	host *host
	peer rookery.PublicKey
}

// runSpeaker is the whole of a speaker: it reads what to do from in and tells what
// happens to out. It ends when it was told to close, or when the parent is gone.
func runSpeaker(in io.Reader, out, errors io.Writer) error {
	s := &speaker{child: newChild(out, errors)}
	start, err := s.begun(in)
	if err != nil {
		return err
	}
	if start.Reach == nil {
		return fmt.Errorf("no network for %v", start.Side)
	}
	meeting := make(chan frame, 1)
	go func() {
		if err := s.open(start, meeting); err != nil {
			s.broken(err)
		}
	}()
	return s.obey(in, meeting)
}

// open opens the engine, and waits to be told of the other side.
func (s *speaker) open(start frame, meeting <-chan frame) error {
	ctx := context.Background()
	c, err := start.Reach.open(ctx)
	if err != nil {
		return err
	}
	s.host, err = s.child.open(ctx, start.Text, start.Side, rookery.Options{Carrier: c}, rookery.NewIdentity{Key: start.Payload})
	if err != nil {
		return err
	}
	bundle, err := s.host.identity.Bundle(ctx)
	if err != nil {
		return err
	}
	s.tell(frame{Kind: isCard, Side: start.Side, Payload: bundle})
	met := <-meeting
	if copy(s.peer[:], met.Peer) != len(s.peer) {
		return fmt.Errorf("public key of %d bytes", len(met.Peer))
	}
	if err := s.host.meet(ctx, s.peer, met.Payload); err != nil {
		return err
	}
	s.hosts = []*host{s.host}
	close(s.opened)
	s.tell(frame{Kind: isOpen, Side: start.Side})
	return nil
}

// obey carries out what the parent tells. It asks for nothing that needs the engine
// before it was told that it is open.
func (s *speaker) obey(in io.Reader, meeting chan<- frame) error {
	for {
		f, err := readFrame(in)
		if errors.Is(err, io.EOF) {
			return nil // the parent is gone
		}
		if err != nil {
			return err
		}
		switch f.Kind {
		case doMeet:
			meeting <- f
		case doSend: // as many at a time as the parent likes
			go s.host.sendOne(context.Background(), s.peer, f.Payload)
		case doLook:
			s.looks.Go(s.look)
		case doClose:
			go s.close()
		default:
			return fmt.Errorf("frame of kind %q", f.Kind)
		}
	}
}

// The networks between processes.
const (
	natsNetwork = "nats"
	wakuNetwork = "waku"
)

// reach says how a network is reached.
type reach struct {
	Network string
	Address string // of the NATS server, or of the Waku peer
	History string // host and port of the REST interface of a Waku store; "" of NATS
}

func (r *reach) open(ctx context.Context) (carrier.Carrier, error) {
	switch r.Network {
	case natsNetwork:
		return openNATS(ctx, r)
	case wakuNetwork:
		return openWaku(r)
	}
	return nil, fmt.Errorf("network %q", r.Network)
}
