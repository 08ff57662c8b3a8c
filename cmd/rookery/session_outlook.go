package main

import (
	"fmt"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/sessionactor"
)

// explainDevice says how it stands with a device, and what happens next.
func explainDevice(of rookery.PublicKey, in deviceactor.Installation, with deviceactor.ExplainedSessions) deviceExplained {
	d := deviceExplained{deviceView: viewDevice(of, in), Sessions: []sessionView{}}
	d.Stale = with.Exclusion == deviceactor.ByAge
	if !in.Entry.IsZero() {
		d.PreKey = &prekeyView{
			Version: in.Entry.Version, Signed: stamp(in.Entry.Timestamp),
			BySibling: in.Entry.BySibling, UsableUntil: stamp(in.Entry.UsableUntil()),
		}
	}
	for _, s := range with.Summaries {
		d.Sessions = append(d.Sessions, sessionView{
			Session: s.ID.String(), State: s.Status.String(), InUse: s.InUse, Ours: s.Initiator,
			Created: stamp(s.Created), Skipped: s.Skipped, Deleted: stamp(s.DeletedAt),
		})
	}
	if with.Exclusion == deviceactor.Included {
		d.Next = outlooks[with.Outlook]
	} else {
		d.Next = exclusions[with.Exclusion]
	}
	return d
}

// outlooks say what the next message does.
var outlooks = map[sessionactor.Outlook]string{
	sessionactor.NeedsPreKey:      "no bundle of it is known: it gets nothing until its contact code is found or it writes",
	sessionactor.NeedsNewerPreKey: "its prekey is too old to be used: it gets nothing until a newer bundle of it comes",
	sessionactor.Starts:           "the next message to it starts a session",
	sessionactor.Rekeys:           "it has a newer prekey: the next message to it starts a new session in place of this one",
	sessionactor.Continues:        "messages go both ways on the session in use",
	sessionactor.Repeats:          "it has not answered on the session in use: each message carries what starts it",
}

// outlookOfUnknown says what a message does to whom no device is known of.
const outlookOfUnknown = "a message looks the contact code up first, and goes out without forward secrecy if there is none"

// exclusions say why a device gets nothing.
var exclusions = map[deviceactor.Exclusion]string{
	deviceactor.ByRetirement: "it gets nothing: our installation was replaced and only reads",
	deviceactor.ByBlock:      "it gets nothing, and what it sends is refused: the contact is blocked",
	deviceactor.ByDecision:   "it was disabled, and gets nothing until it is approved (rookery device approve); what it sends is read",
	deviceactor.ByWaiting:    "it gets nothing until it is approved (rookery device approve); what it sends is read",
	deviceactor.ByAge:        "it gets nothing until a bundle comes from itself: its identity has left it out for a week",
	deviceactor.ByNumber:     "it gets nothing until it sends: others of its identity, as many as a message goes to, were active later",
}

// whatIsNext says what happens next with a contact as a whole.
func whatIsNext(us storedIdentity, contact deviceactor.Contact, v contactExplained) []string {
	next := []string{}
	say := func(format string, args ...any) { next = append(next, fmt.Sprintf(format, args...)) }
	switch {
	case us.successor != "":
		say("our installation was replaced by %s: it only reads", plain(us.successor))
	case contact.FirstSeen == 0:
		say("nothing is known of it: %s", outlookOfUnknown)
	case contact.Blocked:
		say("it is blocked: all it sends is refused (rookery contact unblock)")
	case contact.Standing == deviceactor.Requested:
		say("it waits for an answer: rookery contact accept, or a message to it, or rookery contact deny")
	case len(contact.Installations) == 0:
		say("no device of it is known: %s", outlookOfUnknown)
	}
	if v.Unsent > 0 {
		say("what is not sent yet goes out with the next command that has a network, or while listen runs")
	}
	if v.Unacknowledged > 0 {
		say("what is not acknowledged is shown by the next rookery listen")
	}
	return next
}
