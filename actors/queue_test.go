package actors

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// schedules calls f with several sources of randomness; one that fails is repeated alone
// by the command that its log has.
func schedules(t *testing.T, f func(t *testing.T, random *rand.Rand)) {
	t.Helper()
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Logf("repeat with: go test -count=1 -run '^%s$' ./actors", t.Name())
			f(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

// A ring gives what a slice gives. What it gave is in none of its places any more.
func TestRingIsFirstInFirstOut(t *testing.T) {
	schedules(t, func(t *testing.T, random *rand.Rand) {
		var r ring[int]
		var model []int
		for number := range 2000 {
			switch draw := random.IntN(20); {
			case draw == 0:
				r.trim(keptPlaces)
			case draw < 11 == (number/200%2 == 0): // grows and shrinks
				r.push(number + 1)
				model = append(model, number+1)
			case len(model) == 0:
				if got := r.pop(); got != 0 {
					t.Fatalf("step %d: %d from an empty ring", number, got)
				}
			default:
				if got := r.pop(); got != model[0] {
					t.Fatalf("step %d: got %d, want %d", number, got, model[0])
				}
				model = model[1:]
			}
			left := slices.DeleteFunc(slices.Concat(r.places, r.own[:]), func(n int) bool { return n == 0 })
			if len(r.places) > 0 && &r.places[0] == &r.own[0] {
				left = left[:len(model)] // both are the same
			}
			slices.Sort(left)
			if int(r.n) != len(model) || !slices.Equal(left, model) {
				t.Fatalf("step %d: %d in the ring, its places hold %v, want %v", number, r.n, left, model)
			}
		}
	})
}

func TestRingGivesTheRoomOfABurstBack(t *testing.T) {
	var r ring[int]
	places := func(burst int) (full, empty int) {
		for n := range burst {
			r.push(n + 1)
		}
		full = len(r.places)
		for range burst - 1 {
			r.pop()
		}
		if r.trim(keptPlaces); len(r.places) != full {
			t.Fatalf("a ring with something in it was cut down from %d to %d places", full, len(r.places))
		}
		if got := r.pop(); got != burst {
			t.Fatalf("got %d, want %d", got, burst)
		}
		r.trim(keptPlaces)
		return full, len(r.places)
	}
	for _, c := range []struct{ burst, full, empty int }{{1, 2, 2}, {2, 2, 2}, {3, 8, 8}, {9, 16, 2}, {1000, 1024, 2}, {2, 2, 2}} {
		if full, empty := places(c.burst); full != c.full || empty != c.empty {
			t.Errorf("%d at once: %d places, then %d; want %d and %d", c.burst, full, empty, c.full, c.empty)
		}
	}
}

// A queue against two slices: who is to schedule a run, what that run may take, and when
// it is over.
func TestQueueKeepsItsRules(t *testing.T) {
	type mark struct{ number int }
	suspend, resume := &actor.SuspendMailbox{}, &actor.ResumeMailbox{}
	schedules(t, func(t *testing.T, random *rand.Rand) {
		var q queue
		var user, system []any
		claimed, suspended := false, false
		for number := range 2000 {
			var got, want string
			switch random.IntN(8) {
			case 0, 1, 2:
				message := mark{number}
				user = append(user, message)
				got = fmt.Sprint("schedule: ", q.post(message))
				want = fmt.Sprint("schedule: ", !claimed && !suspended)
				claimed = claimed || !suspended
			case 3:
				message := []any{&mark{number}, suspend, resume, resume}[random.IntN(4)]
				system = append(system, message)
				got = fmt.Sprint("schedule: ", q.postSystem(message))
				want = fmt.Sprint("schedule: ", !claimed)
				claimed = true
			default:
				if !claimed {
					continue
				}
				message, from := q.take()
				got = fmt.Sprint(message, from)
				for len(system) > 0 && (system[0] == any(suspend) || system[0] == any(resume)) {
					suspended = system[0] == any(suspend)
					system = system[1:]
				}
				switch {
				case len(system) > 0:
					want = fmt.Sprint(system[0], fromSystem)
					system = system[1:]
				case len(user) > 0 && !suspended:
					want = fmt.Sprint(user[0], fromUser)
					user = user[1:]
				default:
					want = fmt.Sprint(nil, fromNone)
					claimed = false
				}
			}
			if got != want {
				t.Fatalf("step %d: %s, want %s", number, got, want)
			}
			if q.len() != len(user) {
				t.Fatalf("step %d: %d wait, want %d", number, q.len(), len(user))
			}
		}
	})
}

// What comes before the actor knows its mailbox waits behind its start, and nobody runs.
func TestNothingComesBeforeTheStart(t *testing.T) {
	q := queue{claimed: true}
	if q.post("early") || q.postSystem("late restart") {
		t.Error("a run is to be scheduled before the start")
	}
	q.start("started")
	if q.post("next") {
		t.Error("a second run is to be scheduled")
	}
	var order []any
	for message, from := q.take(); from != fromNone; message, from = q.take() {
		order = append(order, message)
	}
	if got, want := fmt.Sprint(order), "[started late restart early next]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
