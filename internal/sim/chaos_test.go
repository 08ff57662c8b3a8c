package sim

import (
	"math"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/transport"
)

// event is one kind of thing that can happen. do tells whether it could.
type event struct {
	name   string
	weight int
	rare   bool // a schedule has it or not, so that others are judged more strictly
	do     func(*world) bool
}

// events are all kinds, see the package documentation.
var events = []event{
	{"send", 24, false, (*world).doSend},
	{"send directly", 8, false, (*world).doSendDirect},
	{"note to ourselves", 2, false, (*world).doNote},
	{"deliver", 40, false, (*world).doDeliver},
	{"overtake", 8, false, (*world).doOvertake},
	{"sweep", 5, false, (*world).doSweep},
	{"acknowledge", 4, false, (*world).doAcknowledge},
	{"minutes pass", 6, false, (*world).doMinutes},
	{"hours pass", 3, false, (*world).doHours},
	{"approve own device", 4, false, (*world).doApprove},
	{"show bundle", 2, false, (*world).doShow},
	{"switch on", 6, false, (*world).doSwitchOn},
	{"reconnect", 3, false, (*world).doReconnect},
	{"mend clock", 1, false, (*world).doMendClock},
	{"enable", 2, false, (*world).doEnable},
	{"accept", 3, false, (*world).doAccept},
	{"lose", 4, true, (*world).doLose},
	{"duplicate", 4, true, (*world).doDuplicate},
	{"replay", 4, true, (*world).doReplay},
	{"replay contact code", 2, true, (*world).doReplayCode},
	{"flip a bit", 4, true, (*world).doFlip},
	{"truncate", 2, true, (*world).doTruncate},
	{"forge sender", 2, true, (*world).doForge},
	{"crash", 3, true, (*world).doCrash},
	{"crash at a write", 3, true, (*world).doCrashAtWrite},
	{"store failure", 3, true, (*world).doStoreFailure},
	{"cut off", 2, true, (*world).doCutOff},
	{"a day passes", 4, true, (*world).doDay},
	{"a week passes", 1, true, (*world).doWeek},
	{"two weeks pass", 1, true, (*world).doTwoWeeks},
	{"disable", 2, true, (*world).doDisable},
	{"deny", 1, true, (*world).doDeny},
	{"new device", 2, true, (*world).doNewDevice},
	{"lose state", 1, true, (*world).doLoseState},
	{"back up", 2, true, (*world).doBackUp},
	{"restore noticed", 1, true, (*world).doRestore},
	{"restore unnoticed", 1, true, (*world).doRollBack},
	{"two copies", 1, true, (*world).doTwin},
	{"clock jumps", 2, true, (*world).doJump},
}

// oneIn is true once in n times.
func (w *world) oneIn(n int) bool { return w.random.IntN(n) == 0 }

func pick[T any](w *world, from []T) (T, bool) {
	if len(from) == 0 {
		var none T
		return none, false
	}
	return from[w.random.IntN(len(from))], true
}

// somebody is a device that can do something.
func (w *world) somebody(conditions ...func(*device) bool) (*device, bool) {
	return pick(w, w.devices(append(conditions, (*device).live, (*device).up)...))
}

// between is a random time.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.random.Int64N(int64(most-least)))
}

var names = [...]string{"alice", "bob", "carol", "dave", "erin"}

// populate makes the identities and their first devices.
func (w *world) populate() {
	people := [...]int{1, 2, 2, 2, 2, 2, 3, 3, 3, 4, 5}[w.random.IntN(11)]
	for i := range people {
		view := deviceactor.View{MaxInstallations: maxDevices}
		view.Requests = [...]deviceactor.RequestPolicy{0, 0, 0, deviceactor.Ask, deviceactor.Ask, deviceactor.DenyAll}[w.random.IntN(6)]
		if w.oneIn(5) {
			view.Devices = deviceactor.AskFirst
		}
		w.addPerson(names[i], view)
	}
	for _, p := range w.people {
		for range [...]int{1, 1, 2, 2, 2, 3}[w.random.IntN(6)] {
			w.addDevice(p)
		}
	}
	for _, d := range w.devices() {
		for _, p := range w.people {
			d.follows[p] = w.oneIn(2)
		}
		w.switchOn(d)
	}
	w.report.Sizes = append(w.report.Sizes, len(w.devices()))
}

// least is how many events a schedule has.
const least = 100

// chaos runs random events.
func (w *world) chaos() {
	var list []event
	total := 0
	for _, e := range events {
		if !e.rare || w.oneIn(2) {
			list = append(list, e)
			total += e.weight
		}
	}
	steps := least + w.random.IntN(60)
	w.report.Steps = append(w.report.Steps, steps)
	for steps > 0 && w.judge.verdict == nil {
		n := w.random.IntN(total)
		for _, e := range list {
			if n -= e.weight; n < 0 {
				if e.do(w) {
					w.report.Events[e.name]++
					steps--
				}
				break
			}
		}
		w.pass(w.between(time.Millisecond, 2*time.Second))
	}
}

func (w *world) doSend() bool {
	d, ok := w.somebody()
	to, _ := pick(w, w.people)
	if !ok || to == d.person {
		return false
	}
	w.send(d, to)
	return true
}

func (w *world) doNote() bool {
	d, ok := w.somebody(func(d *device) bool { return len(d.person.inUse()) > 1 })
	if ok {
		w.send(d, d.person)
	}
	return ok
}

func (w *world) doDeliver() bool {
	list := w.deliverable()
	for range min(len(list), 1+w.random.IntN(5)) {
		if list := w.deliverable(); len(list) > 0 {
			w.deliver(list[0])
		}
	}
	return len(list) > 0
}

func (w *world) doOvertake() bool {
	f, ok := pick(w, w.deliverable())
	if ok {
		w.deliver(f)
	}
	return ok
}

func (w *world) doSweep() bool {
	d, ok := w.somebody()
	if ok {
		w.sweep(d)
	}
	return ok
}

func (w *world) doAcknowledge() bool {
	d, ok := w.somebody(func(d *device) bool { return len(d.unacked) > 0 })
	for ok && d.up() && len(d.unacked) > 0 {
		w.acknowledge(d, w.random.IntN(len(d.unacked)))
	}
	return ok
}

func (w *world) passing(least, most time.Duration) bool {
	t := w.between(least, most)
	w.pass(t)
	w.logf("%v have passed", t.Round(time.Second))
	return true
}

func (w *world) doMinutes() bool  { return w.passing(time.Minute, time.Hour) }
func (w *world) doHours() bool    { return w.passing(time.Hour, 8*time.Hour) }
func (w *world) doDay() bool      { return w.passing(24*time.Hour, 48*time.Hour) }
func (w *world) doWeek() bool     { return w.passing(7*24*time.Hour, 9*24*time.Hour) }
func (w *world) doTwoWeeks() bool { return w.passing(14*24*time.Hour, 17*24*time.Hour) }

func (w *world) doApprove() bool {
	d, ok := w.somebody(func(d *device) bool { return len(d.person.inUse()) > 1 })
	if ok {
		w.tidyDevices(d)
	}
	return ok
}

func (w *world) doShow() bool {
	from, ok := w.somebody()
	to, _ := w.somebody()
	if !ok || from.person == to.person || from.tainted || to.tainted {
		return false
	}
	w.show(from, to)
	return true
}

func (w *world) doSwitchOn() bool {
	d, ok := pick(w, w.devices((*device).live, func(d *device) bool { return !d.up() }))
	if ok {
		w.switchOn(d)
	}
	return ok
}

func (w *world) doReconnect() bool {
	d, ok := pick(w, w.devices((*device).live, func(d *device) bool { return d.cutOff }))
	if ok {
		d.cutOff = false
		w.logf("%v is reached again", d)
	}
	return ok
}

func (w *world) doMendClock() bool {
	d, ok := pick(w, w.devices((*device).live, func(d *device) bool { return d.offset != 0 || d.stuck != 0 }))
	if ok {
		w.mendClock(d)
	}
	return ok
}

// known is an installation that a device knows of somebody else's.
func (w *world) known(conditions ...func(*device) bool) (d *device, of *person, in deviceactor.Installation, ok bool) {
	d, ok = w.somebody(conditions...)
	if !ok {
		return d, nil, in, false
	}
	of, _ = pick(w, w.people)
	contact, err := d.running.Contact(ctx, of.public)
	if err != nil || of == d.person {
		return d, nil, in, false
	}
	in, ok = pick(w, contact.Installations)
	return d, of, in, ok
}

func (w *world) doEnable() bool {
	d, of, in, ok := w.known()
	return ok && !in.Enabled && w.enable(d, of, in.ID, true) == nil
}

func (w *world) doDisable() bool {
	d, of, in, ok := w.known()
	return ok && in.Enabled && w.enable(d, of, in.ID, false) == nil
}

func (w *world) doAccept() bool {
	d, of, ok := w.contact(func(c deviceactor.Contact) bool { return c.Standing == deviceactor.Requested })
	return ok && w.answer(d, of, true) == nil
}

func (w *world) doDeny() bool {
	d, of, ok := w.contact(func(c deviceactor.Contact) bool { return c.FirstSeen != 0 })
	return ok && of != d.person && w.answer(d, of, false) == nil
}

// contact is one that a device has.
func (w *world) contact(such func(deviceactor.Contact) bool) (*device, *person, bool) {
	d, ok := w.somebody()
	of, _ := pick(w, w.people)
	if !ok {
		return nil, nil, false
	}
	c, err := d.running.Contact(ctx, of.public)
	return d, of, err == nil && such(c)
}

// underWay is a flight that something can happen to.
func (w *world) underWay() (*flight, bool) {
	f, ok := pick(w, w.net.flights)
	return f, ok && !f.altered
}

func (w *world) doLose() bool {
	f, ok := w.underWay()
	if ok {
		w.drop(f)
	}
	return ok
}

func (w *world) doDuplicate() bool {
	f, ok := w.underWay()
	if ok {
		w.again(f)
	}
	return ok
}

func (w *world) doReplay() bool {
	f, ok := pick(w, w.net.past)
	if ok = ok && f.to.live(); ok {
		w.again(f)
	}
	return ok
}

// doReplayCode publishes an old bundle again, to everybody who listens.
func (w *world) doReplayCode() bool {
	f, ok := pick(w, w.net.past)
	if !ok || f.envelope.Topic != transport.ContactCodeTopic(f.from.person.public) {
		return false
	}
	for _, to := range w.audience(f.from, f.envelope.Topic) {
		again := *f
		again.to = to
		w.fly(&again)
	}
	w.logf("an old contact code of %v comes again", f.from)
	return true
}

func (w *world) doFlip() bool {
	f, ok := w.underWay()
	return ok && w.flip(f)
}

func (w *world) doTruncate() bool {
	f, ok := w.underWay()
	return ok && w.truncate(f)
}

func (w *world) doForge() bool {
	f, ok := w.underWay()
	as, _ := pick(w, w.people)
	return ok && w.forge(f, as)
}

func (w *world) doCrash() bool {
	d, ok := w.somebody()
	if ok {
		w.switchOff(d)
	}
	return ok
}

func (w *world) doCrashAtWrite() bool {
	d, ok := w.somebody()
	if ok {
		w.breakDisk(d, [...]fault{crashUnwritten, crashWritten, crashUnreported}[w.random.IntN(3)])
	}
	return ok
}

func (w *world) doStoreFailure() bool {
	d, ok := w.somebody()
	if ok {
		w.breakDisk(d, [...]fault{failUnwritten, failWritten}[w.random.IntN(2)])
	}
	return ok
}

func (w *world) doCutOff() bool {
	d, ok := w.somebody(func(d *device) bool { return !d.cutOff })
	if ok {
		d.cutOff = true
		w.logf("%v is cut off", d)
	}
	return ok
}

func (w *world) doNewDevice() bool {
	p, _ := pick(w, w.people)
	if len(p.inUse()) >= maxDevices || p.made >= 2*maxDevices {
		return false
	}
	d := w.addDevice(p)
	d.follows = p.devices[0].follows
	w.logf("%v is new", d)
	w.switchOn(d)
	return true
}

// replaceable limits how many installations an identity goes through: of more
// than 8 new ones in a day nobody believes the rest.
func replaceable(d *device) bool { return d.person.made < 2*maxDevices }

func (w *world) doLoseState() bool {
	d, ok := pick(w, w.devices((*device).live, replaceable))
	if ok {
		w.recover(d)
	}
	return ok
}

func (w *world) doBackUp() bool {
	d, ok := w.somebody()
	if ok {
		w.backUp(d)
	}
	return ok
}

// doRestore puts a backup back under a device that notices: it goes on as a new
// installation.
func (w *world) doRestore() bool {
	d, ok := pick(w, w.devices((*device).live, replaceable, func(d *device) bool { return d.saved != nil }))
	if ok {
		w.restore(d)
	}
	return ok
}

func (w *world) doRollBack() bool {
	d, ok := pick(w, w.devices((*device).live, func(d *device) bool { return d.saved != nil }))
	if ok {
		w.rollBack(d)
	}
	return ok
}

func (w *world) doTwin() bool {
	d, ok := w.somebody(replaceable, func(d *device) bool { return !d.tainted && len(d.person.inUse()) < maxDevices })
	if ok {
		w.twin(d)
	}
	return ok
}

// doJump makes a clock wrong. Of those that are ahead by more than a day there is
// only one at a time: two would believe each other, and what they have believed
// is superseded only when that time has come.
func (w *world) doJump() bool {
	d, ok := w.somebody(func(d *device) bool { return d.offset == 0 && d.stuck == 0 })
	if !ok {
		return false
	}
	const day, year = 24 * time.Hour, 365 * 24 * time.Hour
	most := 4 * day
	if len(w.devices((*device).live, func(d *device) bool { return d.clock()-w.now > int64(day) })) > 0 {
		most = day
	}
	switch n := w.random.IntN(16); {
	case n == 0:
		w.setClock(d, -10*year, 0)
	case n == 1:
		w.setClock(d, 0, 1)
	case n == 2 && most > day:
		w.setClock(d, 10*year, 0)
	case n == 3 && most > day:
		w.setClock(d, 0, math.MaxInt64)
	default:
		w.setClock(d, w.between(-4*day, most), 0)
	}
	return true
}

// The schedule of our own prekeys, for the calm.
var rotation = bundleactor.DefaultSchedule().Rotate
