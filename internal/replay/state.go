package replay

import (
	"bytes"
	"fmt"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
)

func (d *driver) finalState(report *FileReport) error {
	for i, final := range d.transcript.FinalState {
		rep := Step{I: len(d.transcript.Steps) + i, Cmd: "final_state", Node: final.Node, Status: Equal}
		n := d.nodes[final.Node]
		if n == nil {
			return malformed(fmt.Sprintf("final_state %d", i), "node %.40q has no init", final.Node)
		}
		if err := d.state(n, final.State, &rep); err != nil {
			return err
		}
		report.Steps = append(report.Steps, rep)
	}
	return nil
}

// state compares the ratchet sessions and message keys in the reference's
// database with ours.
func (d *driver) state(n *installed, recorded *nodeState, rep *Step) error {
	if recorded == nil {
		return malformed(fmt.Sprintf("step %d", rep.I), "no state recorded")
	}
	rep.value("sessions", len(recorded.Sessions) == len(n.ref.rows), "ours are %d, recorded %d", len(n.ref.rows), len(recorded.Sessions))
	for i := range recorded.Sessions {
		r := &recorded.Sessions[i]
		what := fmt.Sprintf("sessions[%d]", i)
		row := n.ref.row(r.ID)
		if row == nil {
			rep.differs(KindValue, what, "we have no such session")
			continue
		}
		switch field := row.difference(r); {
		case field != "":
			rep.differs(KindValue, what+"."+field, "not ours")
		case row.trace.origin != nil:
			rep.explained(KindValue, what, *row.trace.origin)
		default:
			rep.equal(KindValue, what)
		}
	}
	kept := 0
	for _, row := range n.ref.rows {
		kept += len(row.trace.kept)
	}
	rep.value("message_keys", len(recorded.MessageKeys) == kept, "expected %d, recorded %d", kept, len(recorded.MessageKeys))
	for i := range recorded.MessageKeys {
		rep.compareKey(fmt.Sprintf("message_keys[%d]", i), &recorded.MessageKeys[i], n)
	}
	return nil
}

// compareKey checks that the reference keeps the message key, and that it is
// ours as long as we have not used it.
func (s *Step) compareKey(what string, r *messageKeyState, n *installed) {
	key, err := ratchet.NewPublicKey(r.PublicKey)
	row := n.ref.row(r.SessionID)
	if err != nil || row == nil {
		s.differs(KindValue, what, "no such session, or no such ratchet key")
		return
	}
	ref := ratchet.KeyRef{Ratchet: key, N: r.MsgNum}
	seq, kept := row.trace.kept[ref]
	ours, unused := row.stored[ref]
	_, used := row.trace.delivered[ref]
	switch {
	case !kept || seq != r.SeqNum:
		s.differs(KindValue, what, "not expected to be kept under this number")
	case unused && bytes.Equal(ours.Key.Bytes(), r.MessageKey):
		s.equal(KindValue, what)
	case used && !unused && len(r.MessageKey) == len(ours.Key.Bytes()):
		s.explained(KindValue, what, cause{devReplay, -1, "we have deleted it on use"})
	default:
		s.differs(KindValue, what+".message_key", "not ours")
	}
}

// row finds the session behind an id of the reference's database: prekey and
// installation id.
func (r *reference) row(id []byte) *session {
	var prekey wire.PublicKey
	if len(id) < len(prekey) {
		return nil
	}
	installation := id[copy(prekey[:], id):]
	return r.rows[rowKey{prekey, string(installation)}]
}

// difference names the first field of a stored session that is not ours.
func (s *session) difference(r *sessionState) string {
	ours := s.state
	if ours.SendPending {
		// The reference has its next pair ready: with the same key ours is made
		// here, on a copy, to be compared.
		next, _, err := ours.Encrypt(nil, nil, ratchet.UnsafeDerivedIV, bytes.NewReader(s.trace.next))
		if err != nil {
			return "dhs_private"
		}
		chain, keyErr := secret.NewKey(r.SendChainKey)
		if keyErr != nil {
			return "send_chain_key"
		}
		after, _ := ratchet.KDFChain(&chain)
		if !after.Equal(&next.Send.Key) {
			return "send_chain_key"
		}
		ours = next
		ours.Send.Key, ours.Send.N = chain, 0
	}
	recv := ours.Recv.Key.Bytes()
	if ours.Recv.Primed {
		// Ours is one step ahead: compare with the step from the recorded key.
		chain, err := secret.NewKey(r.RecvChainKey)
		if err != nil {
			return "recv_chain_key"
		}
		next, head := ratchet.KDFChain(&chain)
		if !next.Equal(&ours.Recv.Key) || !head.Equal(&ours.Recv.Head) {
			return "recv_chain_key"
		}
		recv = chain.Bytes()
	}
	for _, field := range []struct {
		name string
		same bool
	}{
		{"dhr", bytes.Equal(r.DHr, ours.Remote.Bytes())},
		{"dhs_public", bytes.Equal(r.DHsPublic, ours.Self.Public.Bytes())},
		{"dhs_private", bytes.Equal(r.DHsPrivate, ours.Self.Private.Bytes())},
		{"root_chain_key", bytes.Equal(r.RootChainKey, ours.Root.Bytes())},
		{"send_chain_key", bytes.Equal(r.SendChainKey, ours.Send.Key.Bytes())},
		{"send_chain_n", r.SendChainN == ours.Send.N},
		{"recv_chain_key", bytes.Equal(r.RecvChainKey, recv)},
		{"recv_chain_n", r.RecvChainN == ours.Recv.N},
		{"pn", r.PN == ours.PN},
		{"keys_count", r.KeysCount == ours.KeysMade},
	} {
		if !field.same {
			return field.name
		}
	}
	return ""
}
