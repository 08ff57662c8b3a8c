package bundleactor

import (
	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// GetBundle asks for the bundle to publish or to send with a message.
type GetBundle struct {
	actors.Reply[Published]
}

// Published is a signed bundle whose prekeys are durable.
type Published struct {
	Bundle wire.Bundle
	// Until is when it should be asked for again (ns).
	Until int64
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

// SetSiblings says which other installations of ours stand in the bundle from
// now on. The answer is the bundle that names them.
type SetSiblings struct {
	actors.Reply[Published]
	Siblings []Sibling
}

// committed is the continuation of a commit.
type committed struct {
	by   *Actor // the incarnation that committed
	next renewal
	err  error
}
