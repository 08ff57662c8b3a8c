package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
)

// script runs a scenario: one command a line. In "person alice ask" the words
// after the name choose what its user wants; devices are "alice/1", messages
// "#1", and envelopes without a message are "keys from alice/1".
type script struct {
	w *world
}

// commands are what a scenario can say, with the number of words it needs.
var commands = map[string]struct {
	usage string
	words int
	run   func(s *script, args []string) error
}{
	"person":   {"person NAME [ask|refuse] [approve-devices] [places=N]", 1, (*script).person},
	"device":   {"device NAME...: a new installation", 1, (*script).device},
	"follow":   {"follow DEVICE NAME...: reads the contact codes of NAME", 2, (*script).follow},
	"show":     {"show DEVICE TO...: its bundle, by hand", 2, (*script).show},
	"send":     {"send DEVICE NAME", 2, (*script).send},
	"direct":   {"direct DEVICE NAME: makes a message and carries it itself", 2, (*script).direct},
	"deliver":  {"deliver all | ENVELOPE DEVICE", 1, (*script).deliver},
	"lose":     {"lose ENVELOPE DEVICE", 2, (*script).lose},
	"replay":   {"replay ENVELOPE DEVICE: the first one recorded", 2, (*script).replay},
	"pass":     {"pass DURATION (h, m, s or d)", 1, (*script).pass},
	"sweep":    {"sweep all | DEVICE...", 1, (*script).sweep},
	"off":      {"off DEVICE: crashes", 1, (*script).off},
	"on":       {"on DEVICE", 1, (*script).on},
	"gone":     {"gone DEVICE", 1, (*script).gone},
	"replace":  {"replace DEVICE: it has lost its state", 1, (*script).replace},
	"backup":   {"backup DEVICE", 1, (*script).backUp},
	"restore":  {"restore DEVICE: from its backup, and it notices", 1, (*script).restore},
	"rollback": {"rollback DEVICE: to its backup, and it does not notice", 1, (*script).rollBack},
	"copy":     {"copy DEVICE: a second one from the same disk", 1, (*script).twin},
	"clock":    {"clock DEVICE DURATION|right", 2, (*script).clock},
	"approve":  {"approve DEVICE INSTALLATION", 2, func(s *script, args []string) error { return s.enable(args, true) }},
	"disable":  {"disable DEVICE INSTALLATION", 2, func(s *script, args []string) error { return s.enable(args, false) }},
	"accept":   {"accept DEVICE NAME", 2, func(s *script, args []string) error { return s.answer(args, true) }},
	"deny":     {"deny DEVICE NAME", 2, func(s *script, args []string) error { return s.answer(args, false) }},
	"agree":    {"agree DEVICE DEVICE: both use the same session", 2, (*script).agree},
	"sessions": {"sessions DEVICE DEVICE: those of the first with the second", 2, (*script).sessions},
	"contact":  {"contact DEVICE NAME: what the device knows", 2, (*script).contact},
	"kept":     {"kept DEVICE NAME: how many records the device has of it", 2, (*script).kept},
}

// runScript gives what happened, command by command.
func runScript(text string) ([]string, error) {
	s := &script{w: newWorld(1)}
	s.w.trace.keep = true
	for number, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		c, ok := commands[words[0]]
		if !ok || len(words)-1 < c.words {
			return nil, fmt.Errorf("line %d: %q, want %s", number+1, line, c.usage)
		}
		s.w.trace.lines = append(s.w.trace.lines, "> "+strings.Join(words, " "))
		if err := c.run(s, words[1:]); err != nil {
			return nil, fmt.Errorf("line %d: %q: %w", number+1, line, err)
		}
		s.w.pass(time.Second)
		if s.w.judge.verdict != nil {
			return s.w.trace.lines, fmt.Errorf("line %d: %q: %w", number+1, line, s.w.judge.verdict)
		}
	}
	return s.w.trace.lines, nil
}

func (s *script) findPerson(name string) (*person, error) {
	for _, p := range s.w.people {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("there is no %s", name)
}

func (s *script) find(name string) (*device, error) {
	for _, d := range s.w.devices() {
		if d.name == name {
			return d, nil
		}
	}
	return nil, fmt.Errorf("there is no %s", name)
}

// each runs something for all devices that are named.
func (s *script) each(names []string, run func(*device)) error {
	for _, name := range names {
		d, err := s.find(name)
		if err != nil {
			return err
		}
		run(d)
	}
	return nil
}

func (s *script) deviceAndPerson(args []string) (*device, *person, error) {
	d, err := s.find(args[0])
	if err != nil {
		return nil, nil, err
	}
	p, err := s.findPerson(args[1])
	return d, p, err
}

func (s *script) twoDevices(args []string) (*device, *device, error) {
	a, err := s.find(args[0])
	if err != nil {
		return nil, nil, err
	}
	b, err := s.find(args[1])
	return a, b, err
}

func (s *script) person(args []string) error {
	view := deviceactor.View{MaxInstallations: maxDevices}
	for _, wish := range args[1:] {
		places, limited := strings.CutPrefix(wish, "places=")
		switch {
		case wish == "ask":
			view.Requests = deviceactor.Ask
		case wish == "refuse":
			view.Requests = deviceactor.DenyAll
		case wish == "approve-devices":
			view.Devices = deviceactor.AskFirst
		case limited:
			n, err := strconv.Atoi(places)
			if err != nil {
				return err
			}
			view.MaxInstallations = n
		default:
			return fmt.Errorf("wish %q", wish)
		}
	}
	s.w.addPerson(args[0], view)
	return nil
}

func (s *script) device(args []string) error {
	for _, name := range args {
		p, err := s.findPerson(name)
		if err != nil {
			return err
		}
		s.w.switchOn(s.w.addDevice(p))
	}
	return nil
}

func (s *script) follow(args []string) error {
	d, err := s.find(args[0])
	if err != nil {
		return err
	}
	for _, name := range args[1:] {
		p, err := s.findPerson(name)
		if err != nil {
			return err
		}
		d.follows[p] = true
	}
	return nil
}

func (s *script) show(args []string) error {
	from, err := s.find(args[0])
	if err != nil {
		return err
	}
	return s.each(args[1:], func(to *device) { s.w.show(from, to) })
}

func (s *script) send(args []string) error {
	d, p, err := s.deviceAndPerson(args)
	if err == nil {
		s.w.send(d, p)
	}
	return err
}

// envelope is the first one of a list with that name, to that device.
func envelope(list []*flight, args []string) (*flight, error) {
	what, to := strings.Join(args[:len(args)-1], " "), args[len(args)-1]
	for _, f := range list {
		if f.to.name == to && (f.String() == what || strings.HasPrefix(f.String(), what+" from ")) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("there is no %s to %s", what, to)
}

func (s *script) deliver(args []string) error {
	if args[0] != "all" {
		f, err := envelope(s.w.deliverable(), args)
		if err == nil {
			s.w.deliver(f)
		}
		return err
	}
	for list := s.w.deliverable(); len(list) > 0; list = s.w.deliverable() {
		s.w.deliver(list[0])
		s.w.pass(time.Millisecond)
	}
	return nil
}

func (s *script) lose(args []string) error {
	f, err := envelope(s.w.net.flights, args)
	if err == nil {
		s.w.drop(f)
	}
	return err
}

func (s *script) replay(args []string) error {
	f, err := envelope(s.w.net.past, args)
	if err == nil {
		s.w.again(f)
	}
	return err
}

func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}

func (s *script) pass(args []string) error {
	t, err := duration(args[0])
	s.w.pass(t)
	return err
}

func (s *script) sweep(args []string) error {
	if args[0] == "all" {
		for _, d := range s.w.devices((*device).live, (*device).up) {
			s.w.sweep(d)
		}
		return nil
	}
	return s.each(args, s.w.sweep)
}

func (s *script) off(args []string) error      { return s.each(args, s.w.switchOff) }
func (s *script) on(args []string) error       { return s.each(args, s.w.switchOn) }
func (s *script) gone(args []string) error     { return s.each(args, s.w.retire) }
func (s *script) backUp(args []string) error   { return s.each(args, s.w.backUp) }
func (s *script) rollBack(args []string) error { return s.each(args, s.w.rollBack) }

func (s *script) replace(args []string) error {
	return s.each(args, s.w.recover)
}

func (s *script) restore(args []string) error {
	return s.each(args, s.w.restore)
}

func (s *script) twin(args []string) error { return s.each(args, s.w.twin) }

func (s *script) clock(args []string) error {
	d, err := s.find(args[0])
	if err != nil {
		return err
	}
	if args[1] == "right" {
		s.w.mendClock(d)
		return nil
	}
	offset, err := duration(args[1])
	s.w.setClock(d, offset, 0)
	return err
}

func (s *script) enable(args []string, enabled bool) error {
	d, other, err := s.twoDevices(args)
	if err == nil {
		_ = s.w.enable(d, other.person, other.id, enabled)
	}
	return err
}

func (s *script) answer(args []string, accept bool) error {
	d, p, err := s.deviceAndPerson(args)
	if err == nil {
		_ = s.w.answer(d, p, accept)
	}
	return err
}

func (s *script) agree(args []string) error {
	a, b, err := s.twoDevices(args)
	if err != nil {
		return err
	}
	if !sameSession(s.w.activeSession(a, b), s.w.activeSession(b, a)) {
		return fmt.Errorf("%w: %v and %v use different sessions", errViolated, a, b)
	}
	s.w.logf("%v and %v use the same session", a, b)
	return nil
}

func (s *script) sessions(args []string) error {
	d, other, err := s.twoDevices(args)
	if err != nil {
		return err
	}
	list, err := d.running.Sessions(ctx, other.person.public, other.id)
	if err != nil {
		return err
	}
	for i := range list.List {
		one := list.List[i]
		s.w.logf("    session of %s, made by %s, %v%s", elapsed(one.Created), choose(one.Initiator, d.name, other.name), one.Status, unless(one.ID != list.Active, ", in use"))
	}
	if len(list.List) == 0 {
		s.w.logf("    none")
	}
	return nil
}

func (s *script) contact(args []string) error {
	d, p, err := s.deviceAndPerson(args)
	if err != nil {
		return err
	}
	c, err := d.running.Contact(ctx, p.public)
	if err != nil {
		return err
	}
	s.w.logf("    %s: %v%s", p.name, c.Standing, unless(!c.ForwardSecrecy, ", forward secrecy"))
	targets := c.Targets(d.config().View, d.clock())
	for _, in := range c.Installations {
		sent := slices.ContainsFunc(targets, func(t deviceactor.Installation) bool { return t.ID == in.ID })
		s.w.logf("    %s: %s, %s%s", s.w.nameOf(in.ID), choose(in.Enabled, "enabled", "not enabled"), choose(sent, "is sent to", "is not sent to"), unless(in.OmittedSince == 0, ", was left out"))
	}
	return nil
}

func (s *script) kept(args []string) error {
	d, p, err := s.deviceAndPerson(args)
	if err != nil {
		return err
	}
	n := 0
	d.disk.each(func(name persistence.Name, _ []byte) {
		if strings.Contains(string(name), string(p.public[:])) {
			n++
		}
	})
	s.w.logf("    %d records of %s", n, p.name)
	return nil
}
