package load

import (
	"math/rand/v2"
	"time"
)

// Plan is what is sent, in order. It is made up when it is asked for, from the seed
// and the number of the send: any part of it costs the same and takes no room.
type Plan struct {
	config Config
	graph  Graph
	stride uint64
	first  uint64
}

// Send is one step of a plan.
type Send struct {
	From int
	To   int // everybody: all contacts
	Size int // of the payload, bytes
	// Round is how often all pairs have had their turn before, in scenarios in
	// which none has two before all have had one.
	Round int
}

// everybody stands for all contacts of who sends.
const everybody = -1

// NewPlan makes the plan of a config that was checked.
func NewPlan(c Config) *Plan {
	p := &Plan{config: c, graph: c.graph()}
	random := p.random(1 << 63) // is the number of no send
	turns := uint64(p.turns())  //nolint:gosec // above 0
	p.first = random.Uint64() % turns
	// A step of about the golden section brings each turn far away from the last ones.
	for p.stride = max(1, turns*618/1000); common(p.stride, turns) != 1; p.stride++ {
	}
	return p
}

// At gives the send of a number, from 0 on.
func (p *Plan) At(k uint64) Send {
	random := p.random(k)
	draw, size := random.Uint64(), p.config.Payload.pick(random.Uint64())
	turns := uint64(p.turns()) //nolint:gosec // above 0
	if p.config.Scenario.once() {
		from, to := p.turn((p.first + k%turns*p.stride) % turns)
		return Send{From: from, To: to, Size: size, Round: int(k / turns)} //nolint:gosec // k is below 2^63
	}
	turn := draw % turns
	if hot := uint64(p.config.Hot); hot > 0 { //nolint:gosec // checked
		turn = draw % hot * turns / hot
	}
	from, to := p.turn(turn)
	return Send{From: from, To: to, Size: size}
}

// Meant is when a send is meant to begin, since the start, with a rate.
func (p *Plan) Meant(k uint64) time.Duration {
	return time.Duration(float64(k) / p.config.Rate * float64(time.Second))
}

// Ends is at which number the plan ends by itself; false if it does not.
func (p *Plan) Ends() (uint64, bool) {
	return uint64(p.turns()), p.config.Scenario == Storm //nolint:gosec // above 0
}

// turns is how many senders, with whom they write to, there are to choose from.
func (p *Plan) turns() int {
	switch g := p.graph; {
	case p.config.Scenario == FanOut:
		return g.Identities
	case p.config.Scenario == Reconnect && g.Contacts > 1:
		return g.Identities - g.Identities%2
	default:
		return g.Pairs()
	}
}

func (p *Plan) turn(n uint64) (from, to int) {
	turn := int(n)             //nolint:gosec // at most MaxPairs
	switch p.config.Scenario { //nolint:exhaustive // the others write along their pairs
	case FanOut:
		return turn, everybody
	case Bot:
		bot, user := p.graph.Pair(turn)
		return user, bot
	case PingPong: // who has greeted asks: a step of the DH ratchet each way from the first on
		answers, asks := p.graph.Pair(turn)
		return asks, answers
	case Reconnect: // neighbours live in different engines
		if p.graph.Contacts > 1 {
			a, b := turn, (turn+1)%p.graph.Identities
			if p.graph.engine(a, 2) != 0 {
				a, b = b, a
			}
			return a, b
		}
	}
	return p.graph.Pair(turn)
}

// engine says which of a number of engines, 1 or 2, an identity lives in: of a
// pair of neighbours, or of opposites if there are no neighbours, each in another.
func (g Graph) engine(identity, engines int) int {
	switch {
	case engines == 1:
		return 0
	case g.Contacts == 1:
		return identity / (g.Identities / 2)
	}
	return identity % 2
}

func (p *Plan) random(k uint64) *rand.PCG { return rand.NewPCG(p.config.Seed, k) }

// common is the greatest common divisor.
func common(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
