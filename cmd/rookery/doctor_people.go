package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
)

const (
	// unpublished is how long a new bundle may take to be published.
	unpublished = time.Hour
	// unsent is how long a message may wait for a network before it is worth a word.
	unsent = 10 * time.Minute
	// unanswered is how long a session may wait for its first answer.
	unanswered = 7 * 24 * time.Hour
)

// examinePeople looks at each identity and whom it knows, as session explain does.
// What cannot be read keeps nobody from being looked at who can.
func (r *doctorResult) examinePeople(ctx context.Context, store persistence.Store, now int64) error {
	var lost damage
	all, err := storedIdentities(ctx, store, func(name persistence.Name, err error) error { return lost.take(refuse(name, err)) })
	if err != nil {
		return err
	}
	if lost.count > 0 {
		r.add(lost.found("identity"))
	}
	if len(all)+lost.count == 0 {
		r.add(diagnosis{Severity: warning, About: "identity", What: "the store hosts nobody", Do: "rookery identity create, or import"})
	}
	for _, us := range all {
		if err := (identityReport{r, us, now, make(map[string]damage)}).examine(ctx, store); err != nil {
			return err
		}
	}
	return nil
}

// damage is what cannot be read of one thing.
type damage struct {
	count int
	first error
}

// take counts what is damaged, and gives back any other error.
func (d *damage) take(err error) error {
	if err == nil || !errors.Is(err, persistence.ErrCorrupt) {
		return err
	}
	if d.count++; d.first == nil {
		d.first = err
	}
	return nil
}

func (d *damage) found(about string) diagnosis {
	return diagnosis{
		Severity: failure, About: about, What: fmt.Sprintf("%d cannot be read, the first since %s", d.count, inOneLine(d.first)),
		Do: "rookery store check names the records; look at the disk, and restore a backup (docs/operations.md, A damaged disk)",
	}
}

// identityReport adds what is found about one identity.
type identityReport struct {
	r      *doctorResult
	us     storedIdentity
	now    int64
	damage map[string]damage // by what it is about
}

func (i identityReport) examine(ctx context.Context, store persistence.Store) error {
	if i.us.successor != "" {
		i.add(diagnosis{Severity: note, About: "identity", What: "its device was replaced by " + i.us.successor, Next: "it only reads"})
	} else if err := i.goesOn("bundle", i.bundle(ctx, store)); err != nil {
		return err
	}
	if err := i.contacts(ctx, store); err != nil {
		return err
	}
	for _, about := range slices.Sorted(maps.Keys(i.damage)) {
		lost := i.damage[about]
		i.add(lost.found(about))
	}
	return nil
}

// goesOn notes what is damaged; it gives back any other error.
func (i identityReport) goesOn(about string, err error) error {
	lost := i.damage[about]
	err = lost.take(err)
	if lost.count > 0 {
		i.damage[about] = lost
	}
	return err
}

func (i identityReport) add(d diagnosis) {
	d.Of = i.us.key.String()
	i.r.add(d)
}

// ago is how long a time (ns) has passed.
func (i identityReport) ago(at int64) time.Duration {
	return time.Duration(i.now - at).Truncate(time.Minute)
}

// bundle looks at what contacts need to write to the identity.
func (i identityReport) bundle(ctx context.Context, store persistence.Store) error {
	s, err := bundleactor.Load(ctx, store, i.us.owner)
	if err != nil {
		return err
	}
	defer wipePreKeys(s.Keys)
	schedule := bundleactor.DefaultSchedule()
	d := diagnosis{About: "bundle", Do: "rookery listen or serve publishes it, with a network"}
	current, found := s.Keys.Current()
	switch {
	case s.Doubted != 0:
		d.Severity, d.What = warning, fmt.Sprintf("for %v the clock has contradicted what was signed before", i.ago(s.Doubted))
		d.Next, d.Do = "contacts may not take what is signed now", "set the clock, and keep it set (NTP)"
	case s.Signed > i.now+int64(clockSlack):
		d.Severity, d.What = warning, fmt.Sprintf("it was signed %v from now: the clock has gone back", -i.ago(s.Signed))
		d.Next, d.Do = "contacts do not take what is signed before that", "set the clock, and keep it set (NTP)"
	case !found || len(s.Bundle.PreKeys) == 0:
		d.Severity, d.What, d.Next = note, "none was signed yet", "the next command that opens the store signs one"
	case i.now-current.Created > int64(schedule.Rotate+schedule.Keep):
		d.Severity, d.What = warning, fmt.Sprintf("its prekey is %v old: contacts cannot start sessions any more", i.ago(current.Created))
		d.Next = "the next command that opens the store makes a new one"
	case s.Announced == 0 && i.now-s.Changed > int64(unpublished):
		d.Severity, d.What = warning, "no network has ever taken the contact code"
		d.Next = "who has only the public key writes without forward secrecy"
	case s.Changed != 0 && i.now-s.Changed > int64(unpublished):
		d.Severity, d.What = warning, fmt.Sprintf("the newest one is not published, %v after it was made", i.ago(s.Changed))
		d.Next = "contacts write to the older one, as long as it can be used"
	case s.Announced == 0:
		d.Severity, d.What = note, fmt.Sprintf("made %v ago, and no network has taken it yet", i.ago(s.Signed))
	case i.now-current.Created > int64(schedule.Rotate):
		d.Severity, d.What = note, fmt.Sprintf("published %v ago; its prekey is %v old", i.ago(s.Announced), i.ago(current.Created))
		d.Next, d.Do = "the next command that opens the store makes a new one", ""
	default:
		d.Severity, d.What, d.Do = fine, fmt.Sprintf("published %v ago", i.ago(s.Announced)), ""
	}
	i.add(d)
	return nil
}

func wipePreKeys(keys bundleactor.PreKeys) {
	for n := range keys {
		keys[n].Key.Wipe()
	}
}

// crowd are the contacts of an identity by what is so with them: their keys.
type crowd struct {
	all                                               int
	asking, unknown, unreachable, waiting, unanswered []string
	oldestUnsent                                      int64 // ns, 0: nothing waits
	unsent, unacknowledged                            int
}

// contacts looks at all contacts of the identity, and at what waits. One that was
// replaced has no use for theirs any more.
func (i identityReport) contacts(ctx context.Context, store persistence.Store) error {
	var c crowd
	damaged := func(about string) func(persistence.Name, error) error {
		return func(name persistence.Name, err error) error { return i.goesOn(about, refuse(name, err)) }
	}
	keys, err := storedContacts(ctx, store, i.us, damaged("contacts"))
	if err != nil {
		return err
	}
	for _, key := range keys {
		switch {
		case i.us.successor != "":
			continue
		case key == i.us.key:
			err = i.goesOn("devices", i.ownDevices(ctx, store))
		default:
			err = i.goesOn("contacts", c.take(ctx, store, i, key))
		}
		if err != nil {
			return err
		}
	}
	err = eachRecord(ctx, store, persistence.NewName(persistence.KindOutbox, i.us.owner[:]), func(name persistence.Name, value []byte) error {
		return i.goesOn("outbox", c.takeUnsent(name, value))
	}, damaged("outbox"))
	if err != nil {
		return err
	}
	err = eachRecord(ctx, store, persistence.NewName(persistence.KindInbox, i.us.owner[:]), func(persistence.Name, []byte) error {
		c.unacknowledged++
		return nil
	}, damaged("inbox"))
	if err != nil {
		return err
	}
	if i.us.successor == "" {
		i.judge(c)
	}
	i.judgeWaiting(c)
	return nil
}

// ownDevices looks at the other devices of the identity.
func (i identityReport) ownDevices(ctx context.Context, store persistence.Store) error {
	ours, err := deviceactor.LoadContact(ctx, store, i.us.owner, i.us.key)
	if err != nil {
		return err
	}
	var waiting []string
	for n := range ours.Installations {
		if in := &ours.Installations[n]; in.Waits() && in.ID != i.us.installation {
			waiting = append(waiting, in.ID)
		}
	}
	if len(waiting) > 0 {
		i.add(diagnosis{
			Severity: warning, About: "devices", What: fmt.Sprintf("%d of its own wait for approval: %s", len(waiting), some(waiting)),
			Next: "they get no copies of what is sent here", Do: "rookery device approve ID, if they are yours",
		})
	}
	return nil
}

// take looks at one contact.
func (c *crowd) take(ctx context.Context, store persistence.Store, i identityReport, key rookery.PublicKey) error {
	name := fmt.Sprintf("%.8s", key.String())
	c.all++
	x, err := deviceactor.Explain(ctx, store, i.us.owner, i.us.view(), key, i.now)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", name, err)
	case x.Blocked, x.Standing == deviceactor.Stranger:
		return nil
	case x.Standing == deviceactor.Requested:
		c.asking = append(c.asking, name)
		return nil
	case len(x.Installations) == 0:
		c.unknown = append(c.unknown, name)
		return nil
	}
	waits, reached, unanswered, answered := false, false, false, false
	for _, with := range x.Sessions {
		switch {
		case with.Exclusion == deviceactor.ByWaiting:
			waits = true
		case with.Exclusion != deviceactor.Included, with.Outlook == sessionactor.NeedsPreKey, with.Outlook == sessionactor.NeedsNewerPreKey:
		default:
			reached = true
			unanswered = unanswered || with.Outlook == sessionactor.Repeats && silent(with.Summaries, i.now)
			answered = answered || with.Outlook == sessionactor.Continues || with.Outlook == sessionactor.Rekeys
		}
	}
	if waits {
		c.waiting = append(c.waiting, name)
	}
	switch {
	case !reached:
		c.unreachable = append(c.unreachable, name)
	case unanswered && !answered:
		c.unanswered = append(c.unanswered, name)
	}
	return nil
}

// silent tells whether no session is younger than an answer may take.
func silent(sessions []sessionactor.Summary, now int64) bool {
	return !slices.ContainsFunc(sessions, func(s sessionactor.Summary) bool { return now-s.Created < int64(unanswered) })
}

// takeUnsent takes a message that waits for a network.
func (c *crowd) takeUnsent(name persistence.Name, value []byte) error {
	c.unsent++
	m, err := deviceactor.DecodeOutgoing(value)
	if err != nil {
		return refuse(name, err)
	}
	if c.oldestUnsent == 0 || m.Created < c.oldestUnsent {
		c.oldestUnsent = m.Created
	}
	return nil
}

// judge says what is so with the contacts.
func (i identityReport) judge(c crowd) {
	about := func(s severity, keys []string, what, next, do string) {
		if len(keys) > 0 {
			i.add(diagnosis{Severity: s, About: "contacts", What: fmt.Sprintf("%d %s: %s", len(keys), what, some(keys)), Next: next, Do: do})
		}
	}
	i.add(diagnosis{Severity: fine, About: "contacts", What: fmt.Sprintf("%d are known", c.all)})
	about(note, c.asking, "wait for an answer", "what they write comes as requests", "rookery contact accept or deny")
	about(warning, c.unknown, "without a device that is known", outlookOfUnknown, "rookery contact add CODE, with a contact code of theirs")
	about(warning, c.unreachable, "without a device that can be written to", "messages to them are refused", "rookery session explain CONTACT says why for each device")
	about(note, c.waiting, "with a device that waits for approval", "it gets nothing; what it sends is read", "rookery device approve ID --contact CONTACT")
	about(note, c.unanswered, "that have not answered for a week", outlooks[sessionactor.Repeats], "")
}

// judgeWaiting says for how long messages wait.
func (i identityReport) judgeWaiting(c crowd) {
	switch wait := i.ago(c.oldestUnsent); {
	case c.unsent == 0:
	case c.oldestUnsent != 0 && wait > unsent:
		i.add(diagnosis{
			Severity: warning, About: "outbox", What: fmt.Sprintf("%d messages were not taken by a network, the oldest for %v", c.unsent, wait),
			Next: "they go out with the next command that has a network; after 30 days they are given up", Do: "look at the network, then rookery listen or serve",
		})
	default:
		i.add(diagnosis{Severity: note, About: "outbox", What: fmt.Sprintf("%d messages wait for a network", c.unsent), Next: "they go out with the next command that has a network"})
	}
	if c.unacknowledged > 0 {
		i.add(diagnosis{Severity: note, About: "inbox", What: fmt.Sprintf("%d messages are not acknowledged", c.unacknowledged), Next: "the next rookery listen shows them"})
	}
}
