package courier_test

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
)

var seed = flag.Uint64("seed", 1, "of the faults")

// T25: whatever the network loses, doubles, reorders, delays, corrupts or misplaces,
// each envelope arrives, and none twice.
func TestEveryEnvelopeArrivesOnceThroughAllFaults(t *testing.T) {
	for _, test := range []struct {
		name    string
		faults  memory.Faults
		history memory.History
	}{
		{name: "none"},
		{name: "loss", faults: memory.Faults{Loss: 0.3}},
		{name: "duplicates", faults: memory.Faults{Duplicate: 0.5, Delay: time.Second}},
		{name: "reordering", faults: memory.Faults{Reorder: 0.5, Delay: time.Second}},
		{name: "corruption", faults: memory.Faults{Corrupt: 0.3}},
		{name: "busy", faults: memory.Faults{Busy: 0.3}},
		{name: "history fails", faults: memory.Faults{Loss: 0.3}, history: memory.History{Fails: 0.1}},
		{name: "history lies", faults: memory.Faults{Loss: 0.3}, history: memory.History{Lies: 0.2}},
		{
			name:    "all",
			faults:  memory.Faults{Busy: 0.1, Loss: 0.2, Corrupt: 0.1, Duplicate: 0.2, Reorder: 0.2, Foreign: 0.2, Delay: time.Second},
			history: memory.History{Lies: 0.1, Fails: 0.02},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Logf("repeat with: go test ./transport/courier -run '%s' -seed %d", t.Name(), *seed)
			synctest.Test(t, func(t *testing.T) {
				network := memory.New(memory.Options{Seed: *seed, Faults: test.faults, History: test.history})
				lookBack := func(o *courier.Options) { o.LookBack = time.Minute }
				here, there := newHouse(t, network, lookBack), newHouse(t, network, lookBack)
				alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
				here.live(alice)
				there.live(bob)
				there.listen(bob, transport.PublicTopic("chat"))
				settle()
				var toAlice, toBob []string
				for n := range 60 {
					text := fmt.Sprintf("message %d", n)
					switch n % 4 {
					case 0:
						here.write(alice, bob, text)
						toBob = append(toBob, text)
					case 1:
						there.write(bob, alice, text)
						toAlice = append(toAlice, text)
					case 2:
						here.writeAgreed(alice, bob, text)
						toBob = append(toBob, text)
					case 3:
						here.publish(transport.Envelope{Topic: transport.PublicTopic("chat"), Sender: alice.public, Payload: []byte(text)})
						toBob = append(toBob, text)
					}
					time.Sleep(time.Second)
				}
				// A lie of up to an hour takes the history as long to come to.
				time.Sleep(3 * time.Hour)
				synctest.Wait()
				alice.has(toAlice...)
				bob.has(toBob...)
				if h := there.courier.Health(); h.CatchingUp || h.History != nil && test.history.Fails == 0 {
					t.Errorf("in the end %+v", h)
				}
			})
		})
	}
}

// Messages that were published while a house was away, or was cut off, are there
// when it is back; those that it had are not delivered again.
func TestRestartsLoseNothingAndRepeatNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 3})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		all := numbered("while up", 20)
		for _, text := range all {
			here.write(alice, bob, text)
		}
		there.write(bob, alice, "hello") // they share a topic
		settle()
		bob.has(all...)
		there.close()
		for i, text := range numbered("while away", 20) {
			if i%2 == 0 {
				here.writeAgreed(alice, bob, text)
			} else {
				here.write(alice, bob, text)
			}
			all = append(all, text)
		}
		time.Sleep(time.Hour)
		there.open()
		there.live(bob)
		settle()
		bob.has(all...)

		restore := there.carrier.Cut()
		for _, text := range numbered("while cut off", 20) {
			here.write(alice, bob, text)
			all = append(all, text)
		}
		settle()
		if len(bob.texts()) != 40 || there.courier.Health().Carrier.Ready {
			t.Fatalf("%d messages while cut off", len(bob.texts()))
		}
		restore()
		settle()
		bob.has(all...)

		before := there.courier.Counts()
		there.crash()
		there.open()
		there.live(bob)
		settle()
		bob.has(all...)
		if c := there.courier.Counts(); c.Delivered != 0 || c.Repeated == 0 || c.Foreign != 0 {
			t.Errorf("after the crash %+v, before it %+v", c, before)
		}
	})
}

// A crash in the middle of everything: what was not settled comes again, and what
// comes twice is not older than what had not been written yet.
func TestCrashRepeatsOnlyTheLastSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 4})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		texts := numbered("text", 100)
		for _, text := range texts {
			here.write(alice, bob, text)
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		bob.has(texts...)
		bob.forget()
		there.crash()
		there.open()
		there.live(bob)
		settle()
		again := bob.texts()
		slices.Sort(again)
		if len(again) > 11 || !slices.Equal(again, texts[len(texts)-len(again):]) {
			t.Errorf("delivered again: %q", again)
		}
	})
}

// What a subscriber never took comes with the next life, also if nobody subscribed
// for a while.
func TestRefusedEnvelopesOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memory.New(memory.Options{Seed: 5})
		here, there := newHouse(t, network), newHouse(t, network)
		alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
		here.live(alice)
		there.live(bob)
		settle()
		bob.refuses(func(transport.Envelope) error { return errNotNow })
		texts := numbered("text", 100) // more than may wait
		for _, text := range texts {
			here.write(alice, bob, text)
		}
		time.Sleep(3 * time.Hour)
		if n := len(bob.texts()); n != 0 {
			t.Fatalf("%d delivered", n)
		}
		there.close()
		there.open() // somebody else's life
		time.Sleep(3 * time.Hour)
		there.close()
		bob.refuses(nil)
		there.open()
		there.live(bob)
		settle()
		bob.has(texts...)
		if c := there.courier.Counts(); c.Delivered != uint64(len(texts)) {
			t.Errorf("%+v", c)
		}
	})
}
