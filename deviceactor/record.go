package deviceactor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrCorrupt: a stored contact cannot have been written by this package.
var ErrCorrupt = fmt.Errorf("deviceactor: %w", persistence.ErrCorrupt)

// Reader reads records, those still on their way to the disk included.
type Reader interface {
	Get(ctx context.Context, name persistence.Name) ([]byte, error)
	Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error
}

// About what the parts of records take that are bounded.
const (
	contactBytes      = 64
	seenBytes         = sha256.Size + 2
	installationBytes = 256
	receivedBytes     = 256 // without the payload
)

func contactName(owner persistence.OwnerID, peer x3dh.IdentityPublicKey) persistence.Name {
	return persistence.NewName(persistence.KindContact, owner[:], peer[:])
}

// stateOf are the prefixes of what a contact starts from.
func stateOf(owner persistence.OwnerID, peer, own x3dh.IdentityPublicKey) []persistence.Name {
	kinds := []persistence.Kind{
		persistence.KindContact, persistence.KindInstallation, persistence.KindSession,
		persistence.KindSkipped, persistence.KindOutbox, persistence.KindInbox,
	}
	names := make([]persistence.Name, 0, len(kinds)+1)
	for _, kind := range kinds {
		names = append(names, persistence.NewName(kind, owner[:], peer[:]))
	}
	if peer == own {
		names = append(names, Copies(owner))
	}
	return names
}

// OutboxName names a message that the transport has not taken yet.
func OutboxName(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, id MessageID) persistence.Name {
	return persistence.NewName(persistence.KindOutbox, owner[:], peer[:], id[:])
}

// InboxName names a message that the application has not acknowledged yet.
func InboxName(owner persistence.OwnerID, peer x3dh.IdentityPublicKey, id MessageID) persistence.Name {
	return persistence.NewName(persistence.KindInbox, owner[:], peer[:], id[:])
}

// CopyName names a message that our own other installations have no copy of
// yet.
func CopyName(owner persistence.OwnerID, id MessageID) persistence.Name {
	return persistence.NewName(persistence.KindCopy, owner[:], id[:])
}

// Copies is the prefix of the names of all such messages.
func Copies(owner persistence.OwnerID) persistence.Name {
	return persistence.NewName(persistence.KindCopy, owner[:])
}

// Record is what has to be committed with the message, so that its copy is made
// whatever happens.
func (c *Copy) Record(owner persistence.OwnerID) (persistence.Record, error) {
	value, err := c.encode()
	if err != nil {
		return persistence.Record{}, fmt.Errorf("deviceactor: encode copy: %w", err)
	}
	return persistence.Record{Name: CopyName(owner, c.ID), Value: value, New: true}, nil
}

// ValueSize implements persistence.Content.
func (c *Contact) ValueSize() int {
	return contactBytes + seenBytes*len(c.Seen) + installationBytes*len(c.Installations)
}

// AppendValue implements persistence.Content.
func (c *Contact) AppendValue(b []byte) []byte {
	r := record.Contact{
		Identity:       c.Identity[:],
		FirstSeen:      c.FirstSeen,
		ForwardSecrecy: c.ForwardSecrecy,
		Standing:       uint32(c.Standing),
		Blocked:        c.Blocked,
		Whole:          true,
	}
	for i := range c.Seen {
		r.DhOnlySeen = append(r.DhOnlySeen, c.Seen[i][:])
	}
	all := make([]record.Installation, len(c.Installations))
	r.Installations = make([]*record.Installation, len(all))
	for i := range all {
		r.Installations[i] = &all[i]
		c.Installations[i].encode(&all[i])
	}
	return r.Append(b)
}

// encode fills in a record that is empty.
func (in *Installation) encode(r *record.Installation) {
	r.Id, r.Enabled, r.Denied, r.Stale = in.ID, in.Enabled, in.Denied, in.Stale
	r.ProtocolVersion = in.ProtocolVersion
	r.Active, r.FirstSeen, r.OmittedSince, r.Signed = in.Active, in.FirstSeen, in.OmittedSince, in.Signed
	r.Version, r.Timestamp, r.BySibling = in.Entry.Version, in.Entry.Timestamp, in.Entry.BySibling
	if !in.Entry.IsZero() {
		r.SignedPreKey = in.Entry.PreKey[:]
	}
	if in.Bundle != (BundleHash{}) {
		r.Bundle = in.Bundle[:]
	}
	if in.Session != (sessionactor.ID{}) {
		r.Session = in.Session[:]
	}
}

// LoadContact reads what is known of a peer; an unknown one is empty.
func LoadContact(ctx context.Context, from Reader, owner persistence.OwnerID, peer x3dh.IdentityPublicKey) (Contact, error) {
	c, whole, err := readContact(ctx, from, owner, peer)
	if err != nil || whole {
		return c, err
	}
	if err := c.readApart(ctx, from, owner); err != nil || len(c.apart) > 0 {
		return c, err
	}
	// None is there, or they became part of the contact's record after it was read.
	c, _, err = readContact(ctx, from, owner, peer)
	return c, err
}

// readContact reads the contact's record, and tells whether that is all.
func readContact(ctx context.Context, from Reader, owner persistence.OwnerID, peer x3dh.IdentityPublicKey) (c Contact, whole bool, err error) {
	c.Identity = peer
	value, err := from.Get(ctx, contactName(owner, peer))
	if errors.Is(err, persistence.ErrNotFound) {
		return c, true, nil
	}
	if err != nil {
		return c, false, err
	}
	var r record.Contact
	if err = proto.Unmarshal(value, &r); err == nil {
		err = c.decode(&r)
	}
	if err != nil {
		return c, false, fmt.Errorf("%w: contact %v: %w", ErrCorrupt, peer, err)
	}
	return c, r.GetWhole(), nil
}

func (c *Contact) decode(r *record.Contact) error {
	c.FirstSeen, c.ForwardSecrecy, c.Blocked = r.GetFirstSeen(), r.GetForwardSecrecy(), r.GetBlocked()
	if r.GetStanding() > uint32(Accepted) {
		return fmt.Errorf("standing %d", r.GetStanding())
	}
	c.Standing = Standing(r.GetStanding()) //nolint:gosec // checked above
	for _, hash := range r.GetDhOnlySeen() {
		if len(hash) != sha256.Size {
			return fmt.Errorf("hash of %d bytes", len(hash))
		}
		c.Seen = append(c.Seen, [sha256.Size]byte(hash))
	}
	c.Installations = slices.Grow(c.Installations, len(r.GetInstallations()))
	for i, of := range r.GetInstallations() {
		in, err := decodeInstallation(of)
		if err != nil {
			return err
		}
		if i > 0 && in.ID <= c.Installations[i-1].ID {
			return errors.New("installations are not in order")
		}
		c.Installations = append(c.Installations, in)
	}
	return nil
}

// readApart reads the installations that have records of their own, as older versions
// wrote them.
func (c *Contact) readApart(ctx context.Context, from Reader, owner persistence.OwnerID) error {
	prefix := persistence.NewName(persistence.KindInstallation, owner[:], c.Identity[:])
	return from.Scan(ctx, prefix, func(name persistence.Name, value []byte) error {
		var r record.Installation
		err := proto.Unmarshal(value, &r)
		if err != nil {
			return fmt.Errorf("%w: %v: %w", ErrCorrupt, name, err)
		}
		in, err := decodeInstallation(&r)
		if err != nil {
			return fmt.Errorf("%w: %v: %w", ErrCorrupt, name, err)
		}
		*c = c.put(in)
		c.apart = append(c.apart, name)
		return nil
	})
}

func decodeInstallation(r *record.Installation) (Installation, error) {
	in := Installation{
		ID:              r.GetId(),
		ProtocolVersion: r.GetProtocolVersion(),
		Enabled:         r.GetEnabled(),
		Active:          r.GetActive(),
		FirstSeen:       r.GetFirstSeen(),
		OmittedSince:    r.GetOmittedSince(),
		Stale:           r.GetStale(),
		Signed:          r.GetSigned(),
		Denied:          r.GetDenied(),
	}
	switch hash := r.GetBundle(); len(hash) {
	case 0:
	case len(in.Bundle):
		in.Bundle = BundleHash(hash)
	default:
		return in, fmt.Errorf("hash of a bundle of %d bytes", len(hash))
	}
	switch id := r.GetSession(); len(id) {
	case 0:
	case len(in.Session):
		in.Session = sessionactor.ID(id)
	default:
		return in, fmt.Errorf("session id of %d bytes", len(id))
	}
	key := r.GetSignedPreKey()
	if len(key) == 0 {
		return in, nil
	}
	if len(key) != x3dh.PublicKeySize {
		return in, fmt.Errorf("signed prekey of %d bytes", len(key))
	}
	in.Entry = sessionactor.Entry{
		PreKey:    x3dh.PreKeyPublic(key),
		Version:   r.GetVersion(),
		Timestamp: r.GetTimestamp(),
		BySibling: r.GetBySibling(),
	}
	return in, nil
}

// ValueSize implements persistence.Content.
func (o *Outgoing) ValueSize() int {
	return len(o.Message) + len(o.Recipient) + len(o.ID)
}

// AppendValue implements persistence.Content.
func (o *Outgoing) AppendValue(b []byte) []byte {
	r := record.Outbox{MessageId: o.ID[:], Recipient: o.Recipient[:], Message: o.Message, Created: o.Created}
	return r.Append(b)
}

// DecodeOutgoing reads an outbox record.
func DecodeOutgoing(value []byte) (Outgoing, error) {
	var r record.Outbox
	if err := proto.Unmarshal(value, &r); err != nil {
		return Outgoing{}, fmt.Errorf("%w: outbox: %w", ErrCorrupt, err)
	}
	if len(r.GetMessageId()) != len(MessageID{}) || len(r.GetRecipient()) != x3dh.PublicKeySize {
		return Outgoing{}, fmt.Errorf("%w: outbox", ErrCorrupt)
	}
	return Outgoing{
		ID:        MessageID(r.GetMessageId()),
		Recipient: x3dh.IdentityPublicKey(r.GetRecipient()),
		Message:   r.GetMessage(),
		Created:   r.GetCreated(),
	}, nil
}

// ValueSize implements persistence.Content.
func (m MessageReceived) ValueSize() int {
	return len(m.Payload) + receivedBytes
}

// AppendValue implements persistence.Content.
func (m MessageReceived) AppendValue(b []byte) []byte {
	r := record.Inbox{
		MessageId:      m.ID[:],
		Sender:         m.Sender[:],
		InstallationId: m.Installation,
		Payload:        m.Payload,
		Received:       m.Received,
		ForwardSecrecy: m.ForwardSecrecy,
		Recipient:      m.Recipient[:],
		Request:        m.Request,
		Chat:           m.Chat,
	}
	return r.Append(b)
}

// DecodeReceived reads an inbox record.
func DecodeReceived(value []byte) (MessageReceived, error) {
	var r record.Inbox
	if err := proto.Unmarshal(value, &r); err != nil {
		return MessageReceived{}, fmt.Errorf("%w: inbox: %w", ErrCorrupt, err)
	}
	if len(r.GetMessageId()) != len(MessageID{}) || len(r.GetSender()) != x3dh.PublicKeySize || len(r.GetRecipient()) != x3dh.PublicKeySize {
		return MessageReceived{}, fmt.Errorf("%w: inbox", ErrCorrupt)
	}
	return MessageReceived{
		ID:             MessageID(r.GetMessageId()),
		Sender:         x3dh.IdentityPublicKey(r.GetSender()),
		Recipient:      x3dh.IdentityPublicKey(r.GetRecipient()),
		Installation:   r.GetInstallationId(),
		Payload:        r.GetPayload(),
		Received:       r.GetReceived(),
		ForwardSecrecy: r.GetForwardSecrecy(),
		Request:        r.GetRequest(),
		Chat:           r.GetChat(),
	}, nil
}

// newMessageID hashes what all recipients of a message see alike: its sender,
// its encrypted entries or its public payload with the chat it was published in,
// and no bundles (docs/adr/0004).
func newMessageID(sender x3dh.IdentityPublicKey, m *wire.Message, chat string) MessageID {
	content := wire.Message{InstallationID: m.InstallationID, Entries: m.Entries, Public: m.Public, HasPublic: m.HasPublic}
	room := rooms.Get().(*[]byte)
	work := content.Append(appendIDStart((*room)[:0], sender, chat))
	id := sha256.Sum256(work)
	leave(room, work)
	return id
}

// appendIDStart appends what is hashed before the content of a message.
func appendIDStart(b []byte, sender x3dh.IdentityPublicKey, chat string) []byte {
	b = append(b, "rookery message id"...)
	b = append(b, sender[:]...)
	b = append(b, byte(len(chat))) //nolint:gosec // at most 100 bytes
	return append(b, chat...)
}
