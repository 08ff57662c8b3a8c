package replay

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// arrival stops a replay before a message arrives.
type arrival struct {
	node *installed
	from x3dh.IdentityPublicKey
	step *step
}

// beforeFirst replays a recording up to its first accepted ratchet message with
// or without an X3DH header.
func beforeFirst(t *testing.T, name string, initial bool) arrival {
	t.Helper()
	tr := readTranscript(t, recordings+"/sessions/"+name+".json")
	d := &driver{transcript: tr, nodes: map[string]*installed{}}
	for i := range tr.Steps {
		s := &tr.Steps[i]
		if s.Cmd == "decrypt" && s.Expect.OK && len(s.Expect.Plaintext) > 0 {
			m, err := wire.Decode(s.Message)
			if err == nil && len(m.Entries) == 1 && m.Entries[0].Part.DR != nil && (m.Entries[0].Part.X3DH != nil) == initial {
				from, err := identityOf(s, "from", s.From)
				if err != nil {
					t.Fatal(err)
				}
				return arrival{d.nodes[s.Node], from, s}
			}
		}
		if err := d.step(s, &Step{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("%s: no such message", name)
	return arrival{}
}

// try gives the message to the node and reports the plaintext. A refusal must
// not change anything.
func (a arrival) try(t *testing.T, raw []byte) ([]byte, error) {
	t.Helper()
	before := a.node.hash()
	m, err := wire.Decode(raw)
	var got *received
	if err == nil {
		got, err = a.node.receive(m, a.from, a.step.Clock, func(sessionID) *session { return nil })
	}
	if a.node.hash() != before {
		t.Fatal("judging a message changed the state")
	}
	if err != nil {
		return nil, err
	}
	return got.plaintext, nil
}

// What the wire of the deployed clients does not authenticate, and so nobody
// can: each of these changed messages is accepted.
// Spec: 5.messaging.2
func TestWhatTheWireDoesNotAuthenticate(t *testing.T) {
	a := beforeFirst(t, "restart", true)
	plaintext := a.step.Expect.Plaintext
	for _, c := range []struct {
		name   string
		change func(*wire.Message)
		want   []byte
	}{
		{"parity byte of the ephemeral key", func(m *wire.Message) { m.Entries[0].Part.X3DH.Ephemeral[0] ^= 1 }, plaintext},
		{"bundles removed", func(m *wire.Message) { m.Bundles = nil }, plaintext},
		{"entry renamed to none", func(m *wire.Message) { m.Entries[0].Recipient = wire.NoInstallation }, plaintext},
		{"public message added", func(m *wire.Message) { m.Public, m.HasPublic = []byte("public"), true }, []byte("public")},
		{"protocol version of the bundle", func(m *wire.Message) { m.Bundles[0].PreKeys[0].ProtocolVersion++ }, plaintext},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := wire.Decode(bytes.Clone(a.step.Message))
			if err != nil {
				t.Fatal(err)
			}
			c.change(m)
			if got, err := a.try(t, m.Encode()); err != nil || !bytes.Equal(got, c.want) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// T21: a message with any one byte changed is refused or gives the plaintext
// all the same, since only what is not authenticated was hit; either way the
// state is as before. How many bytes can be changed unnoticed is pinned.
// Spec: 5.integrity.1
func TestEveryFlippedByteIsRefusedOrHarmless(t *testing.T) {
	for _, c := range []struct {
		name    string
		initial bool
	}{{"restart", true}, {"restart", false}, {"ping_pong", false}} {
		a := beforeFirst(t, c.name, c.initial)
		r := rand.New(rand.NewPCG(3, 3))
		harmless := 0
		for i := range a.step.Message {
			raw := bytes.Clone(a.step.Message)
			raw[i] ^= byte(1 + r.IntN(255))
			got, err := a.try(t, raw)
			if err != nil {
				continue
			}
			harmless++
			if !bytes.Equal(got, a.step.Expect.Plaintext) {
				t.Errorf("seed 3, %s initial %t, byte %d: another plaintext", c.name, c.initial, i)
			}
		}
		// The sender's installation id names a new session's owner and is free in
		// an initial message; tags of skipped fields and parity bytes remain.
		most := 60
		if harmless > most {
			t.Errorf("%s initial %t: %d of %d bytes can be changed unnoticed", c.name, c.initial, harmless, len(a.step.Message))
		}
	}
}

// The prekey of a lazily made ratchet pair is used once and in its time: the
// reference's next key, made while decrypting, gives the same message when ours
// is made on sending. Shown by every message after a turn; here one is counted.
func TestLazyRatchetPairGivesTheRecordedBytes(t *testing.T) {
	for _, r := range replayAll(t) {
		if r.Name != "ping_pong" {
			continue
		}
		turned, sent := 0, 0
		for i := range r.Steps {
			for _, c := range r.Steps[i].Checks {
				switch {
				case c.What == "generated_keys[0].pub" && r.Steps[i].Cmd == "decrypt":
					turned++
				case c.What == "message" && c.Status == Equal:
					sent++
				}
			}
		}
		if turned < 30 || sent < 30 {
			t.Errorf("%d turns, %d messages", turned, sent)
		}
		return
	}
	t.Error("ping_pong is missing")
}

// T30: a bundle that we do not believe, although its signature is valid, does
// not cost the message beside it; nothing of the bundle is kept.
func TestUnbelievedBundleDoesNotCostTheMessage(t *testing.T) {
	a := beforeFirst(t, "restart", true)
	m, err := wire.Decode(bytes.Clone(a.step.Message))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := x3dh.NewIdentity(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	ancient := m.Bundles[0]
	ancient.Timestamp = 1
	if err := x3dh.SignBundle(&stranger, &ancient); err != nil {
		t.Fatal(err)
	}
	m.Bundles = append(m.Bundles, ancient)
	got, err := a.node.receive(m, a.from, a.step.Clock, func(sessionID) *session { return nil })
	if err != nil || !bytes.Equal(got.plaintext, a.step.Expect.Plaintext) || len(got.bundles) != 1 {
		t.Errorf("%v, %d bundles kept", err, len(got.bundles))
	}
	forged := ancient
	forged.Signature[0] ^= 1
	m.Bundles[1] = forged
	if _, err := a.try(t, m.Encode()); err == nil {
		t.Error("a message with a forged bundle is accepted")
	}
}
