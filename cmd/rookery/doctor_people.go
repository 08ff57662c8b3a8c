package main

import (
	"context"
	"fmt"
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
func (r *doctorResult) examinePeople(ctx context.Context, store persistence.Store, now int64) error {
	all, err := storedIdentities(ctx, store)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		r.add(diagnosis{Severity: warning, About: "identity", What: "the store hosts nobody", Do: "rookery identity create, or import"})
	}
	for _, us := range all {
		about := identityReport{r, us, now}
		if us.successor != "" {
			about.add(diagnosis{Severity: note, About: "identity", What: "its device was replaced by " + us.successor, Next: "it only reads"})
			continue
		}
		if err := about.bundle(ctx, store); err != nil {
			return err
		}
		if err := about.contacts(ctx, store); err != nil {
			return err
		}
	}
	return nil
}

// identityReport adds what is found about one identity.
type identityReport struct {
	r   *doctorResult
	us  storedIdentity
	now int64
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
		d.Severity, d.What = warning, fmt.Sprintf("the clock contradicts, since %v, what was signed before", i.ago(s.Doubted))
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
		d.Severity, d.What = warning, "listen or serve has never published the contact code"
		d.Next = "who has only the public key writes without forward secrecy"
	case s.Changed != 0 && i.now-s.Changed > int64(unpublished):
		d.Severity, d.What = warning, fmt.Sprintf("the newest one is not published, %v after it was made", i.ago(s.Changed))
		d.Next = "contacts write to the older one, as long as it can be used"
	case s.Announced == 0:
		d.Severity, d.What = note, fmt.Sprintf("made %v ago, and not published by listen or serve yet", i.ago(s.Signed))
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

// contacts looks at all contacts of the identity.
func (i identityReport) contacts(ctx context.Context, store persistence.Store) error {
	var c crowd
	var keys []rookery.PublicKey
	err := eachStoredContact(ctx, store, i.us, func(key rookery.PublicKey) error {
		keys = append(keys, key)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key == i.us.key {
			err = i.ownDevices(ctx, store)
		} else {
			err = c.take(ctx, store, i, key)
		}
		if err != nil {
			return err
		}
	}
	if err := c.takeOutbox(ctx, store, i.us); err != nil {
		return err
	}
	i.judge(c)
	return nil
}

// ownDevices looks at the other devices of the identity.
func (i identityReport) ownDevices(ctx context.Context, store persistence.Store) error {
	ours, err := deviceactor.LoadContact(ctx, store, i.us.owner, i.us.key)
	if err != nil {
		return err
	}
	var waiting []string
	for _, in := range ours.Installations {
		if !in.Enabled && !in.Denied && in.ID != i.us.installation {
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
	x, err := deviceactor.Explain(ctx, store, i.us.owner, i.us.key, i.us.installation, key, i.now)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%.8s", key.String())
	c.all++
	c.unacknowledged += x.Unacknowledged
	if x.Blocked || x.Standing == deviceactor.Stranger {
		return nil
	}
	if x.Standing == deviceactor.Requested {
		c.asking = append(c.asking, name)
		return nil
	}
	if len(x.Installations) == 0 {
		c.unknown = append(c.unknown, name)
		return nil
	}
	reached := false
	for n, in := range x.Installations {
		switch with := x.Sessions[n]; {
		case in.Denied:
		case !in.Enabled:
			c.waiting = append(c.waiting, name)
		case in.Stale, with.Outlook == sessionactor.NeedsPreKey, with.Outlook == sessionactor.NeedsNewerPreKey:
		case with.Outlook == sessionactor.Repeats && silent(with.Summaries, i.now):
			c.unanswered = append(c.unanswered, name)
			reached = true
		default:
			reached = true
		}
	}
	if !reached {
		c.unreachable = append(c.unreachable, name)
	}
	return nil
}

// silent tells whether no session is younger than an answer may take.
func silent(sessions []sessionactor.Summary, now int64) bool {
	return !slices.ContainsFunc(sessions, func(s sessionactor.Summary) bool { return now-s.Created < int64(unanswered) })
}

// takeOutbox looks for how long messages wait for a network.
func (c *crowd) takeOutbox(ctx context.Context, store persistence.Store, us storedIdentity) error {
	return store.Scan(ctx, persistence.NewName(persistence.KindOutbox, us.owner[:]), func(name persistence.Name, value []byte) error {
		m, err := deviceactor.DecodeOutgoing(value)
		if err != nil {
			return fmt.Errorf("%v: %w", name, err)
		}
		c.unsent++
		if c.oldestUnsent == 0 || m.Created < c.oldestUnsent {
			c.oldestUnsent = m.Created
		}
		return ctx.Err()
	})
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
	switch wait := i.ago(c.oldestUnsent); {
	case c.unsent == 0:
	case wait > unsent:
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
