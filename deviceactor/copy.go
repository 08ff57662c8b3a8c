package deviceactor

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrCopyLost: a message went to its contact, but none of our own other
// installations could be given a copy. Cause of an Alarm.
var ErrCopyLost = errors.New("deviceactor: no copy for our own installations")

// Copy is what our own other installations get of a message that this one sent:
// everybody else's message wrapped, in a message of its own to our own identity
// (5/ST, Sending messages to a paired group).
type Copy struct {
	Recipient x3dh.IdentityPublicKey
	// ID is that of the original. Zero for a note that only ourselves get: then
	// the message that carries it is the original.
	ID      MessageID
	Payload []byte
}

// CopyLost are the alarms of a copy that some of our installations cannot be
// given; an error if that may be another time. peer is our own identity.
func (r *Receipt) CopyLost(peer x3dh.IdentityPublicKey) (lost []Event, err error) {
	for _, failed := range r.Failed {
		if Unhandled(failed.Err) {
			return nil, failed.Err
		}
		lost = append(lost, Alarm{peer, failed.Installation, fmt.Errorf("%w: %w", ErrCopyLost, failed.Err)})
	}
	return lost, nil
}

// copyMark starts the payload of a copy, so that what other implementations send
// to their own installations is told apart.
var copyMark = []byte("rookery-copy\x00\x01")

func (c *Copy) encode() ([]byte, error) {
	r := &record.Copy{Recipient: c.Recipient[:], Payload: c.Payload}
	if c.ID != (MessageID{}) {
		r.MessageId = c.ID[:]
	}
	return proto.MarshalOptions{}.MarshalAppend(bytes.Clone(copyMark), r)
}

// DecodeCopy reads a copy, as a record has it and as our other installations
// get it; false if it is none.
func DecodeCopy(payload []byte) (Copy, bool) {
	rest, ok := bytes.CutPrefix(payload, copyMark)
	if !ok {
		return Copy{}, false
	}
	var r record.Copy
	if proto.Unmarshal(rest, &r) != nil || len(r.GetRecipient()) != x3dh.PublicKeySize || len(r.GetPayload()) == 0 {
		return Copy{}, false
	}
	c := Copy{Recipient: x3dh.IdentityPublicKey(r.GetRecipient()), Payload: r.GetPayload()}
	switch len(r.GetMessageId()) {
	case 0:
	case len(MessageID{}):
		c.ID = MessageID(r.GetMessageId())
	default:
		return Copy{}, false
	}
	return c, true
}
