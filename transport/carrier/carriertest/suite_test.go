package carriertest

import (
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/memory"
)

// fault is what is wrong with a carrier, and the rule that has to notice it.
type fault struct {
	name, rule string
	twist      func(c *twisted)
}

// Each rule can fail: a carrier that breaks it does not pass.
func TestEachRuleNoticesItsFault(t *testing.T) {
	rules := all()
	noticed := make(map[string]bool)
	for _, fault := range slices.Concat(publishingFaults, subscribingFaults, keepingFaults, holdingFaults, closingFaults, failingFaults) {
		t.Run(fault.name, func(t *testing.T) {
			rule, known := rules[fault.rule]
			if !known {
				t.Fatalf("there is no rule %s", fault.rule)
			}
			noticed[fault.rule] = true
			network := memory.New(memory.Options{})
			var tried atomic.Int64
			r := &recorder{TB: t}
			b := newBench(r, Network{
				Open: func(testing.TB) carrier.Carrier {
					c := &twisted{Carrier: network.Open(), network: network, tried: &tried}
					fault.twist(c)
					return c
				},
				HasHistory:         fault.rule != "WithoutHistoryItIsSaid",
				KeepsAcrossRestart: true,
				Exact:              true,
				Cut:                func(_ testing.TB, c carrier.Carrier) func() { return c.(*twisted).Cut() },
				Restart: func(testing.TB) {
					restore := network.Outage()
					defer restore()
					before, deadline := tried.Load(), time.Now().Add(20*time.Second)
					for fault.rule == "AcceptedMessagesOutliveARestart" && tried.Load() == before && time.Now().Before(deadline) {
						time.Sleep(time.Millisecond) // somebody publishes meanwhile
					}
				},
				Patience: 200 * time.Millisecond,
				Quiet:    50 * time.Millisecond,
			})
			if failures := r.run(func() { rule.run(b) }); len(failures) == 0 {
				t.Errorf("%s does not notice", fault.rule)
			} else {
				t.Log(failures[0])
			}
		})
	}
	for name := range rules {
		if !noticed[name] {
			t.Errorf("no fault shows that %s can fail", name)
		}
	}
}
