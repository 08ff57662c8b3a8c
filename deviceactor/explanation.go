package deviceactor

import (
	"context"
	"errors"

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
	// Outlook is what the next message to the installation does, were it enabled and
	// not stale.
	Outlook sessionactor.Outlook
}

// MaxCounted bounds what Explain reads of messages that wait.
const MaxCounted = 1000

// errCounted ends a scan that has found enough.
var errCounted = errors.New("deviceactor: counted")

// Explain reads how it stands with a peer of a hosted installation, at the time now
// (ns). It changes nothing.
func Explain(ctx context.Context, from Reader, owner persistence.OwnerID, own x3dh.IdentityPublicKey, installation string, peer x3dh.IdentityPublicKey, now int64) (Explanation, error) {
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
	for i := range contact.Installations {
		in := &contact.Installations[i]
		sessions, err := sessionactor.Load(ctx, from, sessionactor.Place{Owner: owner, Ends: sessionactor.Ends{
			Own: own, OwnInstallation: installation, Peer: peer, PeerInstallation: in.ID,
		}}, in.Session)
		if err != nil {
			return x, err
		}
		x.Sessions = append(x.Sessions, ExplainedSessions{sessions.Summaries(), sessions.Outlook(in.Entry, now)})
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
