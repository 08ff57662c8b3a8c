package sessionactor

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/x3dh"
)

// T35: sessions that are alike in all but one of the things that make them
// unique share no id, and those of two peers share no record.
// Spec: 5.peer.1 5.security-considerations.3
func TestSessionsOfTwoIdentitiesNeverShareARecord(t *testing.T) {
	identities := []x3dh.IdentityPublicKey{{2, 1}, {2, 2}}
	installations := []string{"a", "ab"}
	keys := []secret.Key{secret.KeyOf([32]byte{1}), secret.KeyOf([32]byte{2})}
	ids := make(map[ID]string)
	names := make(map[persistence.Name]string)
	for combination := range 1 << 5 {
		bit := func(i int) int { return combination >> i & 1 }
		ends := Ends{
			Own: identities[bit(0)], OwnInstallation: installations[bit(1)],
			Peer: identities[bit(2)], PeerInstallation: installations[bit(3)],
		}
		id := newID(ends, &keys[bit(4)])
		if other, known := ids[id]; known {
			t.Errorf("%05b and %s have the same id", combination, other)
		}
		ids[id] = fmt.Sprintf("%05b", combination)
		place := Place{Owner: persistence.NewOwnerID(ends.Own[:], ends.OwnInstallation), Ends: ends}
		// Even with one id for all, the records of two peers are apart.
		name := place.session(ID{})
		key := fmt.Sprintf("%05b", combination&0xf)
		if other, known := names[name]; known && other != key {
			t.Errorf("%s and %s have the same record", key, other)
		}
		names[name] = key
		if parts, err := place.sessions().Parts(); err != nil || len(parts) != 3 {
			t.Errorf("prefix of %d parts, %v", len(parts), err)
		}
	}
	if len(ids) != 32 || len(names) != 16 {
		t.Errorf("%d ids and %d names", len(ids), len(names))
	}
}

// Installation ids that would run into each other without their lengths.
func TestSessionIDKeepsItsFieldsApart(t *testing.T) {
	key := secret.KeyOf([32]byte{1})
	seen := make(map[ID]bool)
	for _, ends := range []Ends{
		{OwnInstallation: "ab", PeerInstallation: "c"},
		{OwnInstallation: "a", PeerInstallation: "bc"},
		{OwnInstallation: "abc"},
		{PeerInstallation: "abc"},
	} {
		seen[newID(ends, &key)] = true
	}
	if len(seen) != 4 {
		t.Errorf("%d ids of 4", len(seen))
	}
}

// T35: finding 6 of the reference. Mallory takes Alice's public installation id
// and speaks first; Bob still talks to both, and never on one session.
// Spec: 5.peer.1 5.security-considerations.3
func TestStolenInstallationIDSharesNothing(t *testing.T) {
	source := seeded(t.Name())
	bob := newDevice(t, "bob's", source)
	alice, mallory := newDevice(t, "alice's", source), newDevice(t, "alice's", source)
	withMallory, withAlice := newSide(bob, mallory), newSide(bob, alice)
	toBob := newSide(mallory, bob)
	withMallory.receive(t, toBob.send(t, "first", 10), 11)

	fromAlice := newSide(alice, bob)
	withAlice.receive(t, fromAlice.send(t, "hello", 12), 13)
	reply := withAlice.send(t, "secret for alice", 14)
	if err := toBob.refuse(t, reply, 15); !errors.Is(err, ErrNoSession) && err == nil {
		t.Errorf("mallory: %v", err)
	}
	fromAlice.receive(t, reply, 16)
	if withAlice.sessions.Active == withMallory.sessions.Active {
		t.Error("one session for two peers")
	}
}

// T36: an initial message is accepted only with its real sender and at its real
// recipient, for every triple of claimed sender, real sender and recipient.
// Spec: 5.confidentiality.1 5.authenticity.1 5.x3dh.3 5.x3dh-header.3 5.security-considerations.3
// Spec: draft.destination-validation.1
func TestOnlyTheRealSenderAndRecipientHaveTheSession(t *testing.T) {
	source := seeded(t.Name())
	var devices []*device
	for i := range 4 {
		devices = append(devices, newDevice(t, fmt.Sprint("device ", i%2), source))
	}
	for r, recipient := range devices {
		for s, sender := range devices {
			if s == r {
				continue
			}
			p := newSide(sender, recipient).send(t, "hello", 10)
			for c, claimed := range devices {
				for o, opener := range devices {
					at := newSide(opener, claimed)
					in := at.incoming(p)
					if in.PreKey == nil { // of another device: even if it were ours
						in.PreKey = recipient.find(p.part.X3DH)
					}
					_, _, _, err := at.sessions.Decrypt(&opener.key, at.ends, in, limits(), 11)
					if (err == nil) != (c == s && o == r) {
						t.Errorf("sent by %d to %d, opened by %d as %d's: %v", s, r, o, c, err)
					}
				}
			}
		}
	}
}
