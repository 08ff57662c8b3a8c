package load

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ErrConfig: the parameters of a run do not fit together.
var ErrConfig = errors.New("load: parameters")

// Config is what is run. The same config is the same plan of sends.
type Config struct {
	Scenario Scenario `json:"scenario"`
	// Identities of the world, each with so many Contacts and Devices; see Graph.
	// Of a star the contacts are those of the first.
	Identities int `json:"identities"`
	Contacts   int `json:"contacts"`
	Devices    int `json:"devices"`
	// Hot is how many pairs are used (groups, of fan-out), spread over all; 0: all.
	Hot     int   `json:"hot,omitempty"`
	Payload Sizes `json:"payload"`
	// Rate is how many sends are to begin per second, however many are under way
	// (open loop). 0: as many as are answered for, InFlight at a time (closed loop).
	Rate     float64 `json:"rate,omitempty"`
	InFlight int     `json:"in_flight,omitempty"`
	// WarmUp comes before Duration: what is meant to be sent in it is not measured,
	// but has to arrive too.
	WarmUp   time.Duration `json:"warm_up_ns"`
	Duration time.Duration `json:"duration_ns"`
	// Drain is for how long nothing may arrive in the end before the rest is lost.
	Drain time.Duration `json:"drain_ns"`
	Seed  uint64        `json:"seed"`
}

// MaxDevices is to how many installations of a contact messages go.
const MaxDevices = 3

// maxInFlight bounds the goroutines of a closed loop.
const maxInFlight = 65_536

// Check refuses what cannot be run: ErrScenario, ErrGraph, ErrPayload, ErrConfig.
func (c Config) Check() error {
	if err := c.Scenario.check(); err != nil {
		return err
	}
	if err := c.graph().Check(); err != nil {
		return err
	}
	if err := c.Payload.Check(); err != nil {
		return err
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case c.Devices < 1 || c.Devices > MaxDevices:
		return bad("%d devices, it has to be from 1 to %d", c.Devices, MaxDevices)
	case c.Hot < 0 || c.Hot > c.graph().Pairs():
		return bad("%d hot pairs of %d", c.Hot, c.graph().Pairs())
	case c.Hot > 0 && c.Scenario.once():
		return bad("hot pairs are used again and again, and in %s each has its turn once", c.Scenario)
	case math.IsNaN(c.Rate) || c.Rate < 0 || c.Rate > 10_000_000:
		return bad("a rate of %v messages per second", c.Rate)
	case c.InFlight < 0 || c.InFlight > maxInFlight:
		return bad("%d messages in flight, it has to be from 1 to %d", c.InFlight, maxInFlight)
	case c.Rate > 0 && c.InFlight > 0:
		return bad("either a rate or a number of messages in flight: a rate does not wait for what is in flight")
	case c.Rate == 0 && c.InFlight == 0:
		return bad("a rate or a number of messages in flight is needed")
	case c.Duration <= 0 || c.Duration > 30*24*time.Hour:
		return bad("a duration of %v, it has to be above 0 and at most 30 days", c.Duration)
	case c.WarmUp < 0 || c.WarmUp > 24*time.Hour:
		return bad("a warm-up of %v", c.WarmUp)
	case c.Drain <= 0:
		return bad("a wait of %v for what is still to arrive", c.Drain)
	}
	return nil
}

func (c Config) graph() Graph {
	return Graph{Shape: c.Scenario.shape(), Identities: c.Identities, Contacts: c.Contacts}
}
