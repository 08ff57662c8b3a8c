package deviceactor

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// Once is the key under which a message is to be sent to one contact once, however
// often it is asked for. The receipt is kept in the batch of the message, so that a
// crash leaves both or neither.
type Once struct {
	key    [16]byte
	digest [16]byte
}

// NewOnce hides the application's key, and tells the payload from others: neither can
// be found out from what is stored by who does not know the key.
func NewOnce(key string, payload []byte) Once {
	hidden := sha256.Sum256([]byte(key))
	h := sha256.New()
	h.Write(hidden[:])
	h.Write(payload)
	return Once{[16]byte(hidden[16:]), [16]byte(h.Sum(nil))}
}

// Name names the receipt.
func (o *Once) Name(owner persistence.OwnerID, peer x3dh.IdentityPublicKey) persistence.Name {
	return persistence.NewName(persistence.KindReceipt, owner[:], peer[:], o.key[:])
}

// record is what is kept of a message that is sent.
func (o *Once) record(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, r Receipt, now int64) (persistence.Record, error) {
	kept := &record.Receipt{
		MessageId: r.ID[:], Installations: r.Installations, ForwardSecrecy: r.ForwardSecrecy,
		Started: uint32(r.Started), //nolint:gosec // as many as installations at most
		Sent:    now, Digest: o.digest[:],
	}
	for _, f := range r.Failed {
		kept.Failed = append(kept.Failed, &record.LeftOut{InstallationId: f.Installation, Error: f.Err.Error()})
	}
	value, err := proto.Marshal(kept)
	if err != nil {
		return persistence.Record{}, fmt.Errorf("deviceactor: encode receipt: %w", err)
	}
	return persistence.Record{Name: o.Name(owner, peer), Value: value}, nil
}

// KeptReceipt is the receipt of a message that was sent under a key, or what is left of
// one that was dropped since no network has taken it.
type KeptReceipt struct {
	Receipt       // of one that was dropped the ID alone
	Sent    int64 // ns, when it was durable, or was dropped
	Dropped bool
	digest  [16]byte
}

// DecodeReceipt reads one from its record. Why an installation was left out is a text
// in it. Errors are ErrCorrupt.
func DecodeReceipt(value []byte) (KeptReceipt, error) {
	var r record.Receipt
	if err := proto.Unmarshal(value, &r); err != nil {
		return KeptReceipt{}, fmt.Errorf("%w: receipt: %w", ErrCorrupt, err)
	}
	if len(r.GetMessageId()) != len(MessageID{}) || !r.GetDropped() && len(r.GetDigest()) != len(KeptReceipt{}.digest) {
		return KeptReceipt{}, fmt.Errorf("%w: receipt: sizes", ErrCorrupt)
	}
	kept := KeptReceipt{
		Receipt: Receipt{
			ID: MessageID(r.GetMessageId()), Installations: r.GetInstallations(),
			ForwardSecrecy: r.GetForwardSecrecy(), Started: int(r.GetStarted()),
		},
		Sent: r.GetSent(), Dropped: r.GetDropped(),
	}
	copy(kept.digest[:], r.GetDigest())
	for _, f := range r.GetFailed() {
		kept.Failed = append(kept.Failed, InstallationError{f.GetInstallationId(), errors.New(f.GetError())})
	}
	return kept, nil
}

// Of tells whether it is the receipt of the same payload.
func (k *KeptReceipt) Of(o Once) bool { return !k.Dropped && k.digest == o.digest }

// droppedName names what is left of a message that was dropped. Keys are shorter than
// ids: no receipt has that name.
func droppedName(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, id MessageID) persistence.Name {
	return persistence.NewName(persistence.KindReceipt, owner[:], peer[:], id[:])
}

// dropped is what is left of a message that no network has taken: who asks what became
// of it is told so for as long as receipts are kept.
func dropped(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, id MessageID, now int64) (persistence.Record, error) {
	value, err := proto.Marshal(&record.Receipt{MessageId: id[:], Sent: now, Dropped: true})
	if err != nil {
		return persistence.Record{}, fmt.Errorf("deviceactor: encode receipt: %w", err)
	}
	return persistence.Record{Name: droppedName(owner, peer, id), Value: value}, nil
}
