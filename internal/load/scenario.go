package load

import (
	"errors"
	"fmt"
	"strings"
)

// Scenario is what is sent by whom.
type Scenario string

// The scenarios.
const (
	OneWay    Scenario = "one-way"   // one side of each pair writes, always the same
	PingPong  Scenario = "ping-pong" // one side writes, the other answers
	FanOut    Scenario = "fan-out"   // one identity writes to all its contacts
	Bot       Scenario = "bot"       // many write to one, who answers each
	Cold      Scenario = "cold"      // each message is for a pair that was not used for long
	Storm     Scenario = "storm"     // each message is the first of its pair
	Rekey     Scenario = "rekey"     // each exchange is the first after the prekeys were replaced
	Reconnect Scenario = "reconnect" // the recipients' engine is away while all is sent
)

// Scenarios are all there are.
var Scenarios = []Scenario{OneWay, PingPong, FanOut, Bot, Cold, Storm, Rekey, Reconnect}

// ErrScenario: there is no such scenario.
var ErrScenario = errors.New("load: scenario")

func (s Scenario) check() error {
	for _, known := range Scenarios {
		if s == known {
			return nil
		}
	}
	names := make([]string, len(Scenarios))
	for i, known := range Scenarios {
		names[i] = string(known)
	}
	return fmt.Errorf("%w: %q is none of %s", ErrScenario, s, strings.Join(names, ", "))
}

// answered tells whether each message is answered by its recipient.
func (s Scenario) answered() bool { return s == PingPong || s == Bot || s == Rekey }

// once tells whether each pair has its turn before any has another.
func (s Scenario) once() bool { return s == Cold || s == Storm || s == Rekey }

// shape is the graph that the scenario talks in.
func (s Scenario) shape() Shape {
	if s == Bot {
		return Star
	}
	return Ring
}

// engines is how many engines host its world.
func (s Scenario) engines() int {
	if s == Reconnect {
		return 2
	}
	return 1
}
