package load

import (
	"maps"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/internal/footprint"
)

// ResultFormat is the format of a Result as JSON.
const ResultFormat = 1

// Result is what a run has measured. Times are in ns, sizes in bytes.
type Result struct {
	Format  int       `json:"format"`
	Started time.Time `json:"started"`
	Config  Config    `json:"parameters"`
	// Place is where it ran, in the words of who started it.
	Place   Place   `json:"place"`
	Machine Machine `json:"machine"`
	SetUp   *Made   `json:"set_up,omitempty"` // nil: the world was there
	Opening Opening `json:"opening"`
	// Took is for how long was sent, Drained how long the rest took to arrive.
	Took    time.Duration `json:"took_ns"`
	Drained time.Duration `json:"drained_ns"`
	// Throughput is how many messages per second were delivered: while it was being
	// sent and measured, or of reconnect since the recipients were back.
	Throughput float64   `json:"throughput"`
	Delivery   Latency   `json:"delivery"` // until the handler has it
	Durable    Latency   `json:"durable"`  // until Send has returned
	Outcomes   Outcomes  `json:"outcomes"`
	Resources  Resources `json:"resources"`
	Timeline   []Sample  `json:"timeline"`
}

// Place says where messages went through.
type Place struct {
	Transport  string `json:"transport"`
	Durability string `json:"durability"`
}

// Machine is where a run took place.
type Machine struct {
	System     string `json:"system"`
	Processor  string `json:"processor,omitempty"`
	Processors int    `json:"processors"`
	Memory     int64  `json:"memory_bytes,omitempty"`
	Go         string `json:"go"`
	Revision   string `json:"revision,omitempty"`
}

// Opening is the start of the engine, or of reconnect that of the recipients.
type Opening struct {
	Sessions int           `json:"sessions"` // in the store
	Open     time.Duration `json:"open_ns"`
	// First is from the beginning of the opening until a message was delivered.
	First time.Duration `json:"first_message_ns"`
}

// Outcomes are what became of the messages, warm-up included. A message counts once
// for each installation of its recipient.
type Outcomes struct {
	Sent       int64 `json:"sent"`       // durable at their sender
	Expected   int64 `json:"expected"`   // deliveries of these
	Delivered  int64 `json:"delivered"`  // to a handler, once each
	Lost       int64 `json:"lost"`       // not delivered
	Duplicates int64 `json:"duplicates"` // delivered to a handler once more
	OutOfOrder int64 `json:"out_of_order"`
	Wrong      int64 `json:"wrong"` // from another sender than it says, or on no link

	Failed     int64 `json:"failed"`     // refused by Send
	Overloaded int64 `json:"overloaded"` // times that Send had no room, and was tried again
	Short      int64 `json:"short"`      // sent to fewer installations than there are
	Unsent     int64 `json:"unsent"`     // given up by the engine, since no network took them
	Copies     int64 `json:"copies"`     // at the sender's other installations

	Decrypted         int64 `json:"decrypted"`
	DuplicatesRefused int64 `json:"duplicates_refused"`
	Refused           int64 `json:"refused"`    // for other causes
	Advertised        int64 `json:"advertised"` // bundles sent back for what could not be read
	Established       int64 `json:"sessions_established"`
	Started           int64 `json:"sessions_started"`
	Rekeys            int64 `json:"rekeys"`
	RatchetSteps      int64 `json:"ratchet_steps"`

	// LeftOver are messages of earlier runs, Foreign those of somebody else.
	LeftOver int64 `json:"left_over"`
	Foreign  int64 `json:"foreign"`

	Causes map[string]int64 `json:"causes_of_refusals,omitempty"`
	Alarms map[string]int64 `json:"alarms,omitempty"`
	Errors map[string]int64 `json:"errors,omitempty"`
}

// Resources are what a run has taken, the tester's own share included.
type Resources struct {
	User   time.Duration `json:"processor_user_ns"`
	System time.Duration `json:"processor_system_ns"`

	MemoryStart int64 `json:"memory_start_bytes"` // resident, when the engine was open
	MemoryEnd   int64 `json:"memory_end_bytes"`   // when all had arrived
	MemoryPeak  int64 `json:"memory_peak_bytes"`
	// First and Last are means of the first and last minute that was measured, or
	// quarter if that is shorter.
	MemoryFirst     float64 `json:"memory_first_bytes"`
	MemoryLast      float64 `json:"memory_last_bytes"`
	GoroutinesFirst float64 `json:"goroutines_first"`
	GoroutinesLast  float64 `json:"goroutines_last"`
	// Tester is what the books and histograms of the tester take of the memory.
	Tester int64 `json:"tester_bytes"`

	Sessions  int   `json:"sessions"` // in the store at the end, as far as the world has them
	Disk      int64 `json:"disk_bytes"`
	Envelopes int64 `json:"envelopes"`  // handed to the network
	Wire      int64 `json:"wire_bytes"` // their payloads
	Batches   int64 `json:"batches"`    // synced

	Awake  int64 `json:"awake"` // identities in memory at the end
	Wakes  int64 `json:"wakes"` // how often one came into memory
	Sleeps int64 `json:"sleeps"`
}

// report fills in what was measured.
func (r *run) report(result *Result, m *meter, before, after used) {
	o := &r.outcomes
	change := func(of func(rookery.Counts) uint64) int64 {
		return max(0, int64(of(after.counts)-of(before.counts))) //nolint:gosec // counts since the start
	}
	result.Delivery, result.Durable = distribution(m.delivered), distribution(m.durable)
	result.Timeline = m.samples
	result.Opening.First = time.Duration(r.firstArrival.Load())
	result.Throughput = r.throughput(m)
	result.Outcomes = Outcomes{
		Sent: o.sent.sum(), Expected: o.expected.sum(), Delivered: o.arrived.sum(),
		Duplicates: o.duplicates.Load(), OutOfOrder: o.outOfOrder.Load(), Wrong: o.wrong.Load(),
		Failed: o.failed.Load(), Overloaded: o.overloaded.Load(), Short: o.short.Load(), Unsent: o.unsent.Load(), Copies: o.copies.Load(),
		Decrypted:   change(func(c rookery.Counts) uint64 { return c.Received }),
		Advertised:  change(func(c rookery.Counts) uint64 { return c.Advertised }),
		Started:     change(func(c rookery.Counts) uint64 { return c.SessionsStarted }),
		Established: o.established.Load(), Rekeys: o.rekeyed.Load(),
		RatchetSteps: change(func(c rookery.Counts) uint64 { return c.RatchetSteps }),
		LeftOver:     o.leftOver.Load(), Foreign: o.foreign.Load(),
	}
	o.mu.Lock()
	result.Outcomes.Causes, result.Outcomes.Alarms, result.Outcomes.Errors = maps.Clone(o.refused), maps.Clone(o.alarms), maps.Clone(o.errors)
	o.mu.Unlock()
	for text, n := range result.Outcomes.Causes {
		if text == cause.ErrDuplicate.Error() {
			result.Outcomes.DuplicatesRefused += n
		} else {
			result.Outcomes.Refused += n
		}
	}
	result.Resources = r.resources(m, before, after)
	result.Resources.Awake = int64(after.counts.Awake) //nolint:gosec // no more than there are
	result.Resources.Wakes = change(func(c rookery.Counts) uint64 { return c.Wakes })
	result.Resources.Sleeps = change(func(c rookery.Counts) uint64 { return c.Sleeps })
	result.Resources.Batches = change(func(c rookery.Counts) uint64 { return c.Batches })
}

// throughput is taken from the samples of the time in which it was measured.
func (r *run) throughput(m *meter) float64 {
	from, to := r.warm, r.warm+r.config.Duration
	if r.config.Scenario == Reconnect {
		from, to = r.opened.Sub(r.base), time.Duration(r.lastArrival.Load())
		if to <= from {
			return 0
		}
		return float64(r.outcomes.arrived.sum()) / (to - from).Seconds()
	}
	to = min(to, time.Duration(r.lastArrival.Load()))
	var delivered int64
	var took, last time.Duration
	for _, s := range m.samples {
		if last >= from && last < to {
			delivered += s.Delivered
			took += s.At - last
		}
		last = s.At
	}
	if took <= 0 {
		return 0
	}
	return float64(delivered) / took.Seconds()
}

// growthSpan is over how long the beginning and the end of a run are compared.
const growthSpan = time.Minute

func (r *run) resources(m *meter, before, after used) Resources {
	runtime.GC()
	cpu := after.processor.minus(before.processor)
	res := Resources{
		User: cpu.user, System: cpu.system,
		MemoryEnd: footprint.Memory(), Tester: m.size(),
		Sessions:  r.world.is.Sessions(),
		Envelopes: after.envelopes - before.envelopes, Wire: after.wire - before.wire,
	}
	res.MemoryStart, res.MemoryPeak = m.atStart, max(m.atStart, res.MemoryEnd)
	from, to := r.warm, r.warm+r.config.Duration
	span := min(growthSpan, r.config.Duration/4)
	var first, last mean
	for _, s := range m.samples {
		res.MemoryPeak = max(res.MemoryPeak, s.Memory)
		if s.At > from && s.At <= from+span {
			first.add(s)
		}
		if s.At > to-span && s.At <= to {
			last.add(s)
		}
	}
	res.MemoryFirst, res.GoroutinesFirst = first.of()
	res.MemoryLast, res.GoroutinesLast = last.of()
	return res
}

// mean of memory and goroutines.
type mean struct{ n, memory, goroutines float64 }

func (m *mean) add(s Sample) {
	m.n++
	m.memory += float64(s.Memory)
	m.goroutines += float64(s.Goroutines)
}

func (m *mean) of() (memory, goroutines float64) {
	if m.n == 0 {
		return 0, 0
	}
	return m.memory / m.n, m.goroutines / m.n
}

// machine tells where we are.
func machine() Machine {
	m := Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Processors: footprint.Processors(), Go: runtime.Version()}
	m.Processor = footprint.Model()
	m.Memory = footprint.Installed()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				m.Revision = s.Value
			}
		}
	}
	return m
}
