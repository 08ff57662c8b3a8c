package deviceactor

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// Explanation is how it stands with a contact, as its records say. It has nothing
// secret.
type Explanation struct {
	Contact
	// Unsent are the messages that the transport has not taken, Unacknowledged those
	// that the application has not. MaxCounted stands for that many or more.
	Unsent, Unacknowledged int
	// Sessions are those with each of Installations, in their order.
	Sessions []ExplainedSessions
}

// ExplainedSessions are those with one installation.
type ExplainedSessions struct {
	Summaries []sessionactor.Summary // in the order they were made
	// Exclusion is why the next message to the contact does not go to the installation.
	Exclusion Exclusion
	// Outlook is what the next message to the installation does if it goes there.
	Outlook sessionactor.Outlook
}

// Exclusion is why a message does not go to an installation.
type Exclusion uint8

// The reasons, of which the first that holds is told.
const (
	// Included: it goes there.
	Included Exclusion = iota
	// ByRetirement: our installation has a successor and sends nothing.
	ByRetirement
	// ByBlock: the user has blocked the contact.
	ByBlock
	// ByDecision: the user has disabled the installation.
	ByDecision
	// ByWaiting: the user has not decided about it yet.
	ByWaiting
	// ByAge: its identity has left it out of its bundles for a week.
	ByAge
	// ByNumber: as many others as a message goes to were active later.
	ByNumber
)

// exclusions are those of each of the contact's installations at the time now (ns).
func (c *Contact) exclusions(v View, now int64) []Exclusion {
	targets := c.Targets(v, now)
	why := make([]Exclusion, len(c.Installations))
	for i := range c.Installations {
		in := &c.Installations[i]
		switch {
		case v.Retired:
			why[i] = ByRetirement
		case c.Blocked:
			why[i] = ByBlock
		case in.Waits():
			why[i] = ByWaiting
		case !in.Enabled:
			why[i] = ByDecision
		case in.stale(now):
			why[i] = ByAge
		case !slices.ContainsFunc(targets, func(t Installation) bool { return t.ID == in.ID }):
			why[i] = ByNumber
		}
	}
	return why
}

// MaxCounted bounds what Explain reads of messages that wait.
const MaxCounted = 1000

// errCounted ends a scan that has found enough.
var errCounted = errors.New("deviceactor: counted")

// Explain reads how it stands with a peer of the hosted installation of a view, at the
// time now (ns). It changes nothing.
func Explain(ctx context.Context, from Reader, owner persistence.OwnerID, v View, peer x3dh.IdentityPublicKey, now int64) (Explanation, error) {
	contact, err := LoadContact(ctx, from, owner, peer)
	x := Explanation{Contact: contact}
	if err != nil {
		return x, err
	}
	if x.Unsent, err = count(ctx, from, persistence.NewName(persistence.KindOutbox, owner[:], peer[:])); err != nil {
		return x, err
	}
	if x.Unacknowledged, err = count(ctx, from, persistence.NewName(persistence.KindInbox, owner[:], peer[:])); err != nil {
		return x, err
	}
	exclusions := contact.exclusions(v, now)
	for i := range contact.Installations {
		in := &contact.Installations[i]
		sessions, err := sessionactor.Load(ctx, from, sessionactor.Place{Owner: owner, Ends: sessionactor.Ends{
			Own: v.Own, OwnInstallation: v.Installation, Peer: peer, PeerInstallation: in.ID,
		}}, in.Session)
		if err != nil {
			return x, err
		}
		x.Sessions = append(x.Sessions, ExplainedSessions{sessions.Summaries(), exclusions[i], sessions.Outlook(in.Entry, now)})
	}
	return x, nil
}

func count(ctx context.Context, from Reader, prefix persistence.Name) (n int, err error) {
	err = from.Scan(ctx, prefix, func(persistence.Name, []byte) error {
		if n++; n >= MaxCounted {
			return errCounted
		}
		return nil
	})
	if errors.Is(err, errCounted) {
		err = nil
	}
	return n, err
}
