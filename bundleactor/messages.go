package bundleactor

import (
	"errors"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrRetired: the installation has a successor and shows no bundle any more.
var ErrRetired = errors.New("bundleactor: installation is retired")

// GetBundle asks for the bundle to publish or to send with a message.
type GetBundle struct {
	actors.Reply[Published]
}

// Published is a signed bundle whose prekeys are durable.
type Published struct {
	Bundle wire.Bundle
	// Since and Until are the readings of the clock between which it is good;
	// outside of them it should be asked for again (ns).
	Since, Until int64
	// Doubted tells that the clock contradicts what was published before. If it
	// is the clock that is right, peers do not believe the bundle, for at most
	// 24 hours more.
	Doubted bool
}

// Good tells whether the bundle can be shown at the time now (ns) without
// asking for it again.
func (p Published) Good(now int64) bool { return p.Since <= now && now < p.Until }

// Rotate asks for a bundle with a signed prekey that nobody can have yet, for a
// peer that has to start over. One that is less than an hour old is new enough,
// so that strangers cannot have prekeys made at will.
type Rotate struct {
	actors.Reply[Published]
}

// FindPreKey asks for the signed prekey with that public half; the answer is
// nil if there is none any more.
type FindPreKey struct {
	actors.Reply[*Found]
	Public x3dh.PreKeyPublic
}

// Found answers FindPreKey.
type Found struct {
	PreKey
	// Newer are those of ours that came after it.
	Newer []x3dh.PreKeyPublic
}

// GetUsable asks for the public halves of all our signed prekeys that still
// exist, oldest first: no initial message can rest on another one.
type GetUsable struct {
	actors.Reply[[]x3dh.PreKeyPublic]
}

// SetSiblings says which other installations of ours stand in the bundle from
// now on. The answer is the bundle that names them.
type SetSiblings struct {
	actors.Reply[Published]
	Siblings []Sibling
}

// Taken says that a network has taken a bundle of ours that somebody else than the actor
// has published for everybody.
type Taken struct{ Bundle *wire.Bundle }

// NetworkBack says that the network can be reached again: what it has not taken is
// published now. Who hosts many tells them one after the other.
type NetworkBack struct{}

// committed is the continuation of a commit.
type committed struct {
	by   *Actor // the incarnation that committed
	next State
	err  error
}

// answered is what the network has said to a publication.
type answered struct {
	by     *Actor // the incarnation that has published
	bundle *wire.Bundle
	err    error
}
