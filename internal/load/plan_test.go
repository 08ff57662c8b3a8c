package load

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"testing"
	"time"
)

func testConfig(s Scenario) Config {
	c := Config{
		Scenario: s, Identities: 20, Contacts: 4, Devices: 1, Payload: Sizes{{100, 1}}, InFlight: 8,
		Duration: time.Second, Drain: time.Minute, Seed: 1,
	}
	if s == Bot {
		c.Contacts = c.Identities - 1
	}
	return c
}

func first(c Config, n uint64) (all []Send) {
	p := NewPlan(c)
	for k := range n {
		all = append(all, p.At(k))
	}
	return all
}

func TestSeedDecidesThePlan(t *testing.T) {
	for _, s := range Scenarios {
		c := testConfig(s)
		c.Payload = Sizes{{100, 5}, {1000, 5}}
		again := c
		other := c
		other.Seed = 2
		plan := first(c, 200)
		if !reflect.DeepEqual(plan, first(again, 200)) {
			t.Errorf("%s: two plans of one seed differ", s)
		}
		if reflect.DeepEqual(plan, first(other, 200)) {
			t.Errorf("%s: the seed makes no difference", s)
		}
		// Any part of it is the same without the part before.
		if p := NewPlan(c); p.At(150) != plan[150] {
			t.Errorf("%s: send 150 depends on what was asked before", s)
		}
	}
}

// Those who write know whom they write to, and of reconnect live in the engine that
// stays while the recipients' goes away.
func TestPlanWritesToContacts(t *testing.T) {
	for _, s := range Scenarios {
		for _, contacts := range []int{1, 3, 4, 19} {
			c := testConfig(s)
			if s != Bot {
				c.Contacts = contacts
			}
			g := c.graph()
			for k, send := range first(c, 300) {
				if send.To == everybody {
					continue
				}
				if _, _, known := g.Find(send.From, send.To); !known {
					t.Fatalf("%s, %d contacts: send %d goes to a stranger: %+v", s, contacts, k, send)
				}
				if s == Reconnect && (g.engine(send.From, 2) != 0 || g.engine(send.To, 2) != 1) {
					t.Fatalf("%s, %d contacts: send %d goes the wrong way: %+v", s, contacts, k, send)
				}
				if s == Bot && send.To != 0 {
					t.Fatalf("send %d does not go to the bot: %+v", k, send)
				}
			}
		}
	}
}

func TestEveryPairHasItsTurnOnceWhereEachIsToBeFresh(t *testing.T) {
	for _, s := range []Scenario{Cold, Storm, Rekey} {
		for identities := 3; identities < 40; identities++ {
			c := testConfig(s)
			c.Identities, c.Contacts = identities, 2
			pairs := c.graph().Pairs()
			seen := make(map[[2]int]int)
			for k, send := range first(c, uint64(2*pairs)) {
				if send.Round != k/pairs {
					t.Fatalf("%s: send %d of %d pairs is of round %d", s, k, pairs, send.Round)
				}
				seen[[2]int{send.From, send.To}]++
			}
			for pair, times := range seen {
				if times != 2 {
					t.Errorf("%s: in two rounds pair %v has %d turns", s, pair, times)
				}
			}
			if len(seen) != pairs {
				t.Errorf("%s: %d of %d pairs have turns", s, len(seen), pairs)
			}
		}
	}
}

func TestHotPairsAreAllThatAreUsed(t *testing.T) {
	c := testConfig(OneWay)
	c.Hot = 3
	seen := make(map[[2]int]bool)
	for _, send := range first(c, 500) {
		seen[[2]int{send.From, send.To}] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d pairs are used, want 3: %v", len(seen), seen)
	}
}

func TestSizesAreAsOftenAsTheirWeights(t *testing.T) {
	c := testConfig(OneWay)
	var err error
	if c.Payload, err = ParseSizes("100:80,1024:15,65536:5"); err != nil {
		t.Fatal(err)
	}
	const n = 10_000
	seen := make(map[int]int)
	for _, send := range first(c, n) {
		seen[send.Size]++
	}
	for size, want := range map[int]float64{100: 0.80, 1024: 0.15, 65536: 0.05} {
		if got := float64(seen[size]) / n; math.Abs(got-want) > 0.02 {
			t.Errorf("%d bytes in %.3f of the sends, want %.2f", size, got, want)
		}
	}
	text, err := json.Marshal(c.Payload)
	var back Sizes
	if err != nil || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, c.Payload) {
		t.Errorf("%v is %s as JSON, and back %v", c.Payload, text, back)
	}
}

func TestSizesThatCannotBeAreRefused(t *testing.T) {
	for _, text := range []string{"", "x", "0", "-5", "5", "100:", "100:0", "100:-1", "100:x", "100,", "100:1,,", "1048577", "99999999999999999999"} {
		if sizes, err := ParseSizes(text); !errors.Is(err, ErrPayload) {
			t.Errorf("%q: %v, %v", text, sizes, err)
		}
	}
}

func TestRateDecidesWhenEachIsMeant(t *testing.T) {
	c := testConfig(OneWay)
	c.Rate, c.InFlight = 250, 0
	p := NewPlan(c)
	for k, want := range map[uint64]time.Duration{0: 0, 1: 4 * time.Millisecond, 250: time.Second, 9_000_000: 10 * time.Hour} {
		if got := p.Meant(k); got != want {
			t.Errorf("send %d is meant at %v, want %v", k, got, want)
		}
	}
}

func TestConfigThatCannotRunIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   error
	}{
		"scenario":            {func(c *Config) { c.Scenario = "none" }, ErrScenario},
		"no identities":       {func(c *Config) { c.Identities = 0 }, ErrGraph},
		"half pairs":          {func(c *Config) { c.Identities, c.Contacts = 5, 3 }, ErrGraph},
		"no payload":          {func(c *Config) { c.Payload = nil }, ErrPayload},
		"four devices":        {func(c *Config) { c.Devices = 4 }, ErrConfig},
		"negative rate":       {func(c *Config) { c.Rate = -1 }, ErrConfig},
		"rate that is none":   {func(c *Config) { c.Rate = math.NaN() }, ErrConfig},
		"endless rate":        {func(c *Config) { c.Rate = math.Inf(1) }, ErrConfig},
		"rate and in flight":  {func(c *Config) { c.Rate = 5 }, ErrConfig},
		"no pace":             {func(c *Config) { c.InFlight = 0 }, ErrConfig},
		"negative in flight":  {func(c *Config) { c.InFlight = -1 }, ErrConfig},
		"too many in flight":  {func(c *Config) { c.InFlight = 1 << 20 }, ErrConfig},
		"no duration":         {func(c *Config) { c.Duration = 0 }, ErrConfig},
		"negative warm-up":    {func(c *Config) { c.WarmUp = -1 }, ErrConfig},
		"no drain":            {func(c *Config) { c.Drain = 0 }, ErrConfig},
		"more hot than there": {func(c *Config) { c.Hot = 41 }, ErrConfig},
		"hot and cold":        {func(c *Config) { c.Scenario, c.Hot = Cold, 1 }, ErrConfig},
	} {
		c := testConfig(OneWay)
		test.change(&c)
		if err := c.Check(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
