package rookery

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/rookery-im/rookery/x3dh"
)

// validSenders remembers senders whose keys were found to be points of the
// curve, which costs as much as ten messages in order. One that falls on another
// takes its place; 48 bytes for each, 1.8 MB in all at most. Safe for concurrent use.
type validSenders [1 << 15]atomic.Pointer[PublicKey]

// check tells whether a sender can be an identity.
func (v *validSenders) check(sender *PublicKey) error {
	place := &v[binary.BigEndian.Uint16(sender[1:])%uint16(len(v))]
	if known := place.Load(); known != nil && *known == *sender {
		return nil
	}
	unknown := *sender // a copy: mostly there is none on the heap
	key, err := x3dh.ParseIdentity(unknown[:])
	if err != nil {
		return err
	}
	place.Store(&key)
	return nil
}
