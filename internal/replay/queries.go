package replay

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/x3dh"
)

// enable approves an installation of our own identity, or takes that back. A
// device that has shown itself only in a message that we refused becomes known
// to us here: whoever approves it names it.
func (d *driver) enable(n *installed, s *step, rep *Step) {
	own := n.identity.Public()
	on := s.Cmd == "enable"
	n.ref.devices.enable(own, s.InstallationID, on)
	n.devices.enable(own, s.InstallationID, on)
	rep.value("ok", s.Expect.OK, "recorded as failed")
}

// installations compares the lists of known installations.
func (d *driver) installations(n *installed, s *step, rep *Step) error {
	identity := n.identity.Public()
	if s.Cmd == "active_installations" {
		var err error
		if identity, err = identityOf(s, "identity", s.Identity); err != nil {
			return err
		}
	}
	list := func(known devices) []installation {
		var list []installation
		switch s.Cmd {
		case "our_installations":
			for _, x := range known.all(identity) {
				list = append(list, installation{ID: x.id, Version: x.version, Enabled: x.enabled, Timestamp: x.timestamp})
			}
			list = append(list, installation{ID: n.installation, Version: protocolVersion, Enabled: true})
			slices.SortFunc(list, func(a, b installation) int { return strings.Compare(a.ID, b.ID) })
		case "our_active_installations":
			for _, x := range known.active(identity, maxInstallations-1) {
				list = append(list, installation{ID: x.id, Version: x.version, Enabled: true})
			}
			// Our own comes last, without its flag.
			list = append(list, installation{ID: n.installation, Version: protocolVersion})
		default:
			for _, x := range known.active(identity, maxInstallations) {
				list = append(list, installation{ID: x.id, Version: x.version, Enabled: true})
			}
		}
		return list
	}
	recorded := s.Expect.Installations
	switch {
	case slices.Equal(recorded, list(n.devices)):
		rep.equal(KindValue, "installations")
	case n.ref.apart[identity] != nil && slices.Equal(recorded, list(n.ref.devices)):
		rep.explained(KindValue, "installations", *n.ref.apart[identity])
	default:
		rep.differs(KindValue, "installations", "ours %v, recorded %v", list(n.devices), recorded)
	}
	return nil
}

// secrets compares the shared secrets with all identities we spoke with.
func (d *driver) secrets(n *installed, s *step, rep *Step) {
	recorded := map[x3dh.IdentityPublicKey]hexBytes{}
	for _, x := range s.Expect.SharedSecrets {
		identity, err := x3dh.ParseIdentity(x.Identity)
		if err != nil {
			rep.differs(KindValue, "shared_secrets", "recorded identity: %v", err)
			return
		}
		recorded[identity] = x.Key
	}
	same := func(known secrets) bool {
		for identity := range known {
			shared, err := n.identity.SharedSecret(identity)
			if err != nil || !bytes.Equal(shared[:], recorded[identity]) {
				return false
			}
		}
		return len(known) == len(recorded)
	}
	var apart *cause
	for _, identity := range sortedIdentities(n.ref.apart) {
		apart = firstCause(apart, n.ref.apart[identity])
	}
	switch {
	case same(n.secrets):
		rep.equal(KindValue, "shared_secrets")
	case apart != nil && same(n.ref.secrets):
		rep.explained(KindValue, "shared_secrets", *apart)
	default:
		rep.differs(KindValue, "shared_secrets", "ours are with %d identities, recorded with %d", len(n.secrets), len(recorded))
	}
}

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

// state compares the ratchet sessions in the reference's database with ours.
func (d *driver) state(n *installed, recorded *nodeState, rep *Step) error {
	if recorded == nil {
		return malformed("step "+fmt.Sprint(rep.I), "no state recorded")
	}
	rep.value("sessions", len(recorded.Sessions) == len(n.ref.rows), "ours are %d, recorded %d", len(n.ref.rows), len(recorded.Sessions))
	for i := range recorded.Sessions {
		r := &recorded.Sessions[i]
		what := fmt.Sprintf("sessions[%d]", i)
		size := len(wire.PublicKey{})
		if len(r.ID) < size {
			return malformed("step "+fmt.Sprint(rep.I), "%s: id of %d bytes", what, len(r.ID))
		}
		row := n.ref.rows[rowKey{wire.PublicKey(r.ID[:size]), string(r.ID[size:])}]
		if row == nil {
			rep.differs(KindValue, what, "we have no such session")
			continue
		}
		if field := row.difference(r); field != "" {
			rep.differs(KindValue, what+"."+field, "not ours")
			continue
		}
		if row.trace.origin != nil {
			rep.explained(KindValue, what, *row.trace.origin)
			continue
		}
		rep.equal(KindValue, what)
	}
	return nil
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
