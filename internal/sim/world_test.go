package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/installation"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

// epoch is when every world begins: 2026-01-01T00:00:00Z (ns).
const epoch = int64(1_767_225_600_000_000_000)

// maxDevices is how many installations an identity uses at a time (54,
// Recommendations).
const maxDevices = 3

// world is everything there is: identities with their devices, the network
// between them, and a judge who sees it all. One goroutine owns it.
type world struct {
	seed   uint64
	random *rand.Rand
	now    int64 // true time, ns
	people []*person
	net    network
	judge  judge
	trace  trace
	report report
}

// person is one identity.
type person struct {
	name    string
	key     x3dh.IdentityKey
	public  x3dh.IdentityPublicKey
	view    deviceactor.View // what its user has chosen
	devices []*device        // all that ever were, in the order they were made
	made    int
}

// device is one installation: a program, its disk, and its user.
type device struct {
	world  *world
	person *person
	name   string // "alice/1"
	id     string // installation id
	disk   *disk
	saved  *disk // a backup
	random io.Reader

	running *installation.Installation // nil: switched off
	events  []deviceactor.Event        // reported since last looked at
	opening bool                       // inside of installation.Open
	faulty  bool                       // its disk has failed since it was opened

	retired bool // gone for good
	// tainted is a device that runs from an older state of itself, or one of two
	// copies, and does not know: only its alarm is promised.
	tainted bool
	cutOff  bool // nothing reaches it

	skew        int64 // no two clocks show the same nanosecond
	offset      int64 // of its clock, ns
	stuck       int64 // what its clock shows instead, 0: it runs
	first, last int64 // the earliest and the latest reading of its clock
	jumped      bool  // its clock was wrong once

	follows  map[*person]bool     // whose contact codes it reads
	disabled map[string]bool      // installations its user has disabled
	denied   map[*person]bool     // whom its user has ever denied
	forgot   map[sessionName]bool // sessions that went with them
	seen     map[*message]*sighting
	unacked  []deviceactor.MessageReceived
	expired  map[string]bool // sessions that were reported as expired
	latest   int64           // timestamp of the last bundle it has shown
}

// sighting is a message that a device has reported to its user.
type sighting struct {
	id    deviceactor.MessageID
	acked bool
}

var ctx = context.Background()

func newWorld(seed uint64) *world {
	w := &world{seed: seed, random: decisions(seed), now: epoch, report: newReport()}
	w.judge = newJudge()
	w.trace.hash = sha256.New()
	return w
}

func (w *world) addPerson(name string, view deviceactor.View) *person {
	p := &person{name: name}
	p.key = newIdentity(keyStream(w.seed, p.name))
	p.public = p.key.Public()
	p.view = view
	p.view.Own = p.public
	w.people = append(w.people, p)
	return p
}

func (w *world) addDevice(p *person) *device {
	p.made++
	d := &device{
		world:    w,
		person:   p,
		name:     fmt.Sprintf("%s/%d", p.name, p.made),
		disk:     newDisk(),
		first:    w.now,
		last:     w.now,
		follows:  make(map[*person]bool),
		disabled: make(map[string]bool),
		denied:   make(map[*person]bool),
		forgot:   make(map[sessionName]bool),
		seen:     make(map[*message]*sighting),
		expired:  make(map[string]bool),
	}
	d.skew = int64(len(w.devices())) * 1009
	d.random = keyStream(w.seed, d.name)
	d.id = newInstallationID(d.random)
	d.watchDisk()
	p.devices = append(p.devices, d)
	w.report.Installations++
	return d
}

func (d *device) watchDisk() {
	d.disk.applying = func(batch persistence.Batch, written bool) { d.world.applied(d, batch, written) }
}

func (d *device) String() string { return d.name }

// live tells whether the device is still somebody's.
func (d *device) live() bool { return !d.retired }

// up tells whether it can do something now.
func (d *device) up() bool { return d.running != nil }

// clock is what the device takes for the time.
func (d *device) clock() int64 {
	now := d.stuck
	if now == 0 {
		now = d.world.now + d.skew + d.offset
	}
	d.first, d.last = min(d.first, now), max(d.last, now)
	return now
}

// lifetime is how much time the device believes to have lived through.
func (d *device) lifetime() time.Duration {
	if d.first < 0 || d.last-d.first < 0 {
		return 1<<63 - 1
	}
	return time.Duration(d.last - d.first)
}

func (d *device) config() installation.Config {
	view := d.person.view
	view.Installation = d.id
	return installation.Config{
		Key:      &d.person.key,
		View:     view,
		Store:    d.disk,
		Random:   d.random,
		Schedule: bundleactor.DefaultSchedule(),
		Limits:   ratchet.DeployedLimits(),
		Publish:  func(e transport.Envelope) { d.world.publish(d, e) },
		Deliver: func(e deviceactor.Event) {
			if !d.disk.off {
				d.events = append(d.events, e)
			}
		},
	}
}

// devices are those that satisfy all conditions, in a fixed order.
func (w *world) devices(conditions ...func(*device) bool) []*device {
	var out []*device
	for _, p := range w.people {
	next:
		for _, d := range p.devices {
			for _, holds := range conditions {
				if !holds(d) {
					continue next
				}
			}
			out = append(out, d)
		}
	}
	return out
}

// of gives the devices of a person that are in use.
func (p *person) inUse() []*device {
	var out []*device
	for _, d := range p.devices {
		if d.live() {
			out = append(out, d)
		}
	}
	return out
}

func (w *world) personOf(key x3dh.IdentityPublicKey) *person {
	for _, p := range w.people {
		if p.public == key {
			return p
		}
	}
	return nil
}

// deviceOf finds the device by its installation id; of twins the first.
func (w *world) deviceOf(id string) *device {
	for _, p := range w.people {
		for _, d := range p.devices {
			if d.id == id {
				return d
			}
		}
	}
	return nil
}

// nameOf names an installation for people.
func (w *world) nameOf(id string) string {
	if d := w.deviceOf(id); d != nil {
		return d.name
	}
	return id
}

// trace is what happened, for people, and its hash.
type trace struct {
	hash  hash.Hash
	keep  bool
	lines []string
}

func (w *world) logf(format string, args ...any) {
	line := fmt.Sprintf("%10s  ", elapsed(w.now)) + fmt.Sprintf(format, args...)
	w.trace.hash.Write(append([]byte(line), '\n'))
	if w.trace.keep {
		w.trace.lines = append(w.trace.lines, line)
	}
}

// elapsed shows a time as days, hours, minutes and seconds since the world
// began.
func elapsed(t int64) string {
	s := (t - epoch) / int64(time.Second)
	if s < 24*3600 {
		return fmt.Sprintf("%02d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%dd%02d:%02d:%02d", s/(24*3600), s/3600%24, s/60%60, s%60)
}

// errViolated is matched by everything that the judge finds.
var errViolated = errors.New("invariant violated")
