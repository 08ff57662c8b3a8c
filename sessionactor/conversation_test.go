package sessionactor

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// seeded gives the same bytes in every run: a test that fails fails again.
func seeded(seed string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256([]byte(seed)))
}

// device is one installation with its keys.
type device struct {
	key          x3dh.IdentityKey
	installation string
	prekeys      []OwnPreKey // the last one is current
	signed       int64       // ns, when its bundle was signed
	rand         io.Reader
}

func newDevice(tb testing.TB, name string, rand io.Reader) *device {
	tb.Helper()
	key, err := x3dh.GenerateIdentity(rand)
	if err != nil {
		tb.Fatal(err)
	}
	d := &device{key: key, installation: name, rand: rand}
	d.rotate(tb, 1)
	return d
}

// rotate makes a new signed prekey and signs a bundle with it.
func (d *device) rotate(tb testing.TB, now int64) {
	tb.Helper()
	key, err := x3dh.GeneratePreKey(d.rand)
	if err != nil {
		tb.Fatal(err)
	}
	d.prekeys = append(d.prekeys, OwnPreKey{Key: key})
	d.signed = now
}

// entry is what a verified bundle of the device says.
func (d *device) entry() Entry {
	current := d.prekeys[len(d.prekeys)-1]
	return Entry{PreKey: current.Key.Public(), Version: uint32(len(d.prekeys)), Timestamp: d.signed}
}

func (d *device) find(header *wire.X3DHHeader) *OwnPreKey {
	if header == nil {
		return nil
	}
	for i := range d.prekeys {
		if d.prekeys[i].Key.Public() == x3dh.PreKeyPublic(header.SignedPreKey) {
			found := d.prekeys[i]
			for _, newer := range d.prekeys[i+1:] {
				found.Newer = append(found.Newer, newer.Key.Public())
			}
			return &found
		}
	}
	return nil
}

// side is a device's sessions with one other device, kept as its actor does.
type side struct {
	*device
	sessions Sessions
	ends     Ends
	peer     Entry // the newest accepted one
}

func newSide(own, peer *device) *side {
	return &side{device: own, peer: peer.entry(), ends: Ends{
		Own: own.key.Public(), OwnInstallation: own.installation,
		Peer: peer.key.Public(), PeerInstallation: peer.installation,
	}}
}

// newPair gives two sides that know each other's bundle and have no session.
func newPair(tb testing.TB, seed string) (alice, bob *side) {
	tb.Helper()
	source := seeded(seed)
	a, b := newDevice(tb, "alice's", source), newDevice(tb, "bob's", source)
	return newSide(a, b), newSide(b, a)
}

// packet is a part on its way, with what its bundle says.
type packet struct {
	part    wire.Part
	entry   Entry
	payload string
}

func (s *side) send(tb testing.TB, payload string, now int64) packet {
	tb.Helper()
	before := fingerprint(s.sessions)
	next, change, part, err := s.sessions.Send(&s.key, s.ends, s.outgoing(payload), now, s.rand)
	if err != nil {
		tb.Fatalf("send %q: %v", payload, err)
	}
	if fingerprint(s.sessions) != before {
		tb.Fatalf("send %q changed the sessions that it was called on", payload)
	}
	s.advance(tb, next, change)
	return packet{part, s.entry(), payload}
}

func (s *side) outgoing(payload string) Outgoing {
	return Outgoing{Payload: []byte(payload), Entry: s.peer, Own: s.entry()}
}

// incoming is what the device rules say of a packet.
func (s *side) incoming(p packet) Incoming {
	in := Incoming{Part: &p.part, Entry: p.entry, Sent: p.entry, Heard: s.peer.Timestamp, PreKey: s.find(p.part.X3DH)}
	if p.entry.Timestamp < s.peer.Timestamp {
		in.Entry = s.peer
	}
	return in
}

func (s *side) try(tb testing.TB, p packet, now int64) (string, error) {
	tb.Helper()
	in := s.incoming(p)
	next, change, payload, err := s.sessions.Decrypt(&s.key, s.ends, in, ratchet.DeployedLimits(), now)
	if err != nil {
		return "", err
	}
	s.advance(tb, next, change)
	s.peer = in.Entry
	return string(payload), nil
}

func (s *side) receive(tb testing.TB, p packet, now int64) {
	tb.Helper()
	if got, err := s.try(tb, p, now); err != nil || got != p.payload {
		tb.Fatalf("%s receives %q: got %q, %v", s.installation, p.payload, got, err)
	}
}

// refuse also checks that nothing has changed.
func (s *side) refuse(tb testing.TB, p packet, now int64) error {
	tb.Helper()
	before := fingerprint(s.sessions)
	got, err := s.try(tb, p, now)
	if err == nil {
		tb.Fatalf("%s accepts %q", s.installation, got)
	}
	if after := fingerprint(s.sessions); after != before {
		tb.Fatalf("a refusal (%v) changed the sessions\nfrom %s\nto   %s", err, before, after)
	}
	return err
}

// advance takes a step, after checking that what it tells of sessions is what
// has become of them.
func (s *side) advance(tb testing.TB, next Sessions, change Change) {
	tb.Helper()
	checkTransitions(tb, s.sessions, next, change)
	next.Apply(change)
	s.sessions = next
}

func (s *side) active(tb testing.TB) Session {
	tb.Helper()
	i := s.sessions.active()
	if i < 0 {
		tb.Fatalf("%s has no active session", s.installation)
	}
	return *s.sessions.List[i]
}

// only checks that at most one session is used, and all others just decrypt.
func (s *side) only(tb testing.TB) {
	tb.Helper()
	for i := range s.sessions.List {
		one := s.sessions.List[i]
		if one.ID != s.sessions.Active && one.Status != Expired && one.Status != Forgotten {
			tb.Fatalf("%s: session %v is %v and not active", s.installation, one.ID, one.Status)
		}
		if one.ID == s.sessions.Active && one.Status == Expired {
			tb.Fatalf("%s: the active session has expired", s.installation)
		}
	}
}

// all gives the sessions as a change has them.
func (s *Sessions) all() []*Session { return slices.Clone(s.List) }

// fingerprint is everything of the sessions, secrets included, in one string.
func fingerprint(s Sessions) string {
	var b bytes.Buffer
	for i := range s.List {
		fmt.Fprintf(&b, "%v %x\n", s.List[i].ID, (&storedSession{session: s.List[i], active: s.List[i].ID == s.Active}).append(nil))
		if skipped := s.Skipped[s.List[i].ID]; len(skipped.Refs()) > 0 {
			fmt.Fprintf(&b, "  skipped %v\n", skipped.Refs())
		}
	}
	return b.String()
}

// converse lets both sides speak until every chain has turned.
func converse(tb testing.TB, alice, bob *side, now int64) {
	tb.Helper()
	for i := range 2 {
		bob.receive(tb, alice.send(tb, fmt.Sprint("a", i), now), now)
		alice.receive(tb, bob.send(tb, fmt.Sprint("b", i), now), now)
	}
}
