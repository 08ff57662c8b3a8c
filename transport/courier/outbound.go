package courier

import (
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// outbound is what waits to be published. Identities take turns, and so do the topics
// of each; what goes to one topic stays in order: the next goes when the carrier has
// got the one before. For who holds the courier's lock.
type outbound struct {
	maxCount, maxBytes int

	senders map[x3dh.IdentityPublicKey]*sender
	turn    []*sender // those that have something that can go
	// What waits and what the carrier has not answered.
	count, bytes int
}

// sender is an identity that publishes.
type sender struct {
	identity     x3dh.IdentityPublicKey
	lanes        map[transport.Topic]*lane
	turn         []*lane // those of which something can go
	inTurn       bool
	count, bytes int
}

// lane is what an identity publishes on one topic.
type lane struct {
	waiting []*publication
	busy    bool // one of it is being sealed
}

func newOutbound(maxCount, maxBytes int) outbound {
	return outbound{maxCount: maxCount, maxBytes: maxBytes, senders: make(map[x3dh.IdentityPublicKey]*sender)}
}

// fits tells whether there is room for one more: a fourth of it is left to others than
// the one who has the most. One publication always fits, however large it is.
func (o *outbound) fits(e *transport.Envelope) bool {
	size := len(e.Payload)
	within := func(count, bytes, less int) bool {
		return count == 0 || count < o.maxCount-o.maxCount/4*less && bytes+size <= o.maxBytes-o.maxBytes/4*less
	}
	if s := o.senders[e.Sender]; s != nil && !within(s.count, s.bytes, 1) {
		return false
	}
	return within(o.count, o.bytes, 0)
}

// push adds a publication, and tells whether it can go.
func (o *outbound) push(p *publication) (ready bool) {
	e := &p.envelope
	s := o.senders[e.Sender]
	if s == nil {
		s = &sender{identity: e.Sender, lanes: make(map[transport.Topic]*lane)}
		o.senders[e.Sender] = s
	}
	l := s.lanes[e.Topic]
	if l == nil {
		l = &lane{}
		s.lanes[e.Topic] = l
	}
	p.sender, p.lane = s, l
	l.waiting = append(l.waiting, p)
	size := len(e.Payload)
	o.count, o.bytes = o.count+1, o.bytes+size
	s.count, s.bytes = s.count+1, s.bytes+size
	ready = !l.busy && len(l.waiting) == 1
	if ready {
		o.queue(s, l)
	}
	return ready
}

func (o *outbound) queue(s *sender, l *lane) {
	s.turn = append(s.turn, l)
	o.enter(s)
}

func (o *outbound) enter(s *sender) {
	if !s.inTurn && len(s.turn) > 0 {
		s.inTurn = true
		o.turn = append(o.turn, s)
	}
}

// ready tells whether anything can go.
func (o *outbound) ready() bool { return len(o.turn) > 0 }

// pop gives what goes next, nil if nothing can.
func (o *outbound) pop() *publication {
	if len(o.turn) == 0 {
		return nil
	}
	s := first(&o.turn)
	s.inTurn = false
	l := first(&s.turn)
	l.busy = true
	o.enter(s)
	return first(&l.waiting)
}

// handed lets the next one of the same topic go.
func (o *outbound) handed(p *publication) {
	p.lane.busy = false
	if len(p.lane.waiting) > 0 {
		o.queue(p.sender, p.lane)
		return
	}
	delete(p.sender.lanes, p.envelope.Topic)
}

// ended gives back the room of a publication.
func (o *outbound) ended(p *publication) {
	s, size := p.sender, len(p.envelope.Payload)
	o.count, o.bytes = o.count-1, o.bytes-size
	s.count, s.bytes = s.count-1, s.bytes-size
	if s.count == 0 {
		delete(o.senders, s.identity)
	}
}

// clear takes out all that waits.
func (o *outbound) clear() (all []*publication) {
	for _, s := range o.senders {
		for _, l := range s.lanes {
			all = append(all, l.waiting...)
			l.waiting = nil
		}
		s.turn, s.inTurn = nil, false
	}
	o.turn = nil
	return all
}

// first takes the first one out.
func first[T any](of *[]*T) *T {
	one := (*of)[0]
	(*of)[0] = nil
	*of = (*of)[1:]
	return one
}
