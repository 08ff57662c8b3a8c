package replay

import (
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/x3dh"
)

// driver replays one transcript.
type driver struct {
	transcript *transcript
	nodes      map[string]*installed
}

// installed is a node with the model of the reference beside it.
type installed struct {
	*node
	ref *reference
}

func replayTranscript(data []byte, stores Stores) (*FileReport, error) {
	t, err := parseTranscript(data)
	if err != nil {
		return nil, err
	}
	report := &FileReport{Schema: schemaTranscript, Name: t.Name}
	d := &driver{transcript: t, nodes: map[string]*installed{}}
	full := &hosts{stores: stores, nodes: map[string]*hosted{}}
	groups := t.usesGroups()
	for i := range t.Steps {
		s := &t.Steps[i]
		rep := Step{I: s.I, Cmd: s.Cmd, Node: s.Node, Status: Equal}
		switch {
		case groups:
			rep.outside(NotSupported, "step", "transcript of the group hash ratchet, which is outside the specifications")
		default:
			if err := d.step(s, &rep); err != nil {
				return nil, err
			}
		}
		ruled, err := full.step(d.nodes[s.Node], s, &rep)
		if err != nil {
			return nil, err
		}
		report.Steps = append(report.Steps, rep)
		report.Rules = append(report.Rules, ruled)
	}
	if !groups {
		if err := d.finalState(report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// groupCommands belong to the group hash ratchet; no other command has their
// prefix.
var groupCommands = []string{
	"hr_encrypt", "hr_generate", "hr_exchange", "hr_rekey", "hr_headers", "hr_handle_headers", "hr_keys", "hr_current",
	"hr_headers_v1", "hr_exchange_payload", "hr_encrypt_raw", "hr_decrypt_raw",
}

const groupPrefix = "hr_"

// usesGroups tells whether the transcript has group messages: they move the
// sessions that our core would have to share with them.
func (t *transcript) usesGroups() bool {
	for i := range t.Steps {
		if slices.Contains(groupCommands, t.Steps[i].Cmd) && len(t.Steps[i].Expect.Message) > 0 {
			return true
		}
	}
	return false
}

// step replays one step. The error is for a malformed recording only.
func (d *driver) step(s *step, rep *Step) error {
	if s.Cmd == "init" {
		return d.init(s, rep)
	}
	n := d.nodes[s.Node]
	if n == nil {
		return malformed(fmt.Sprintf("step %d", s.I), "node %.40q has no init", s.Node)
	}
	if slices.Contains(groupCommands, s.Cmd) {
		rep.outside(NotSupported, s.Cmd, "group hash ratchet, outside the specifications")
		return nil
	}
	f := newFeed(&s.Expect)
	f.checkPublics(rep)
	err := d.dispatch(n, s, rep, f)
	n.ref.reunite(n.node)
	if left := f.left(); err == nil && len(left) > 0 && s.Expect.OK {
		rep.differs(KindValue, "generated_keys", "we did not ask for %v", left)
	}
	return err
}

func (d *driver) dispatch(n *installed, s *step, rep *Step, f *feed) error {
	switch s.Cmd {
	case "restart", "close":
		clear(n.ref.awaiting)
		rep.value("ok", s.Expect.OK, "recorded as failed")
		if s.Config != nil {
			return n.configure(s.Config, s.I)
		}
	case "set_time", "ack_advertise":
		rep.value("ok", s.Expect.OK, "recorded as failed")
	case "confirm":
		n.ref.confirm(s.MessageID)
		rep.value("ok", s.Expect.OK, "recorded as failed")
	case "enable", "disable":
		d.enable(n, s, rep)
	case "bundle":
		d.bundle(n, s, rep, f)
	case "process_bundle":
		d.processBundle(n, s, rep)
	case "public_bundle":
		return d.publicBundle(n, s, rep)
	case "encrypt", "dh", "advertise", "public":
		return d.send(n, s, rep, f)
	case "decrypt":
		return d.decrypt(n, s, rep, f)
	case "our_installations", "our_active_installations", "active_installations":
		return d.installations(n, s, rep)
	case "secrets":
		d.secrets(n, s, rep)
	case "state":
		rep.value("ok", s.Expect.OK, "recorded as failed")
		return d.state(n, s.Expect.State, rep)
	case "should_advertise":
		rep.outside(NotChecked, "bool", "when to publish is decided above this core")
	case "unconfirmed":
		rep.outside(NotChecked, "unconfirmed", "our message keys need no confirmation")
	default:
		return malformed(fmt.Sprintf("step %d", s.I), "unknown cmd %.40q", s.Cmd)
	}
	return nil
}

func (d *driver) init(s *step, rep *Step) error {
	n, err := newNode(s)
	if err != nil {
		return err
	}
	d.nodes[s.Node] = &installed{node: n, ref: newReference()}
	public := n.identity.Public()
	full, err := public.Uncompressed()
	if err != nil {
		return malformed(fmt.Sprintf("step %d", s.I), "identity_priv: %w", err)
	}
	e := &s.Expect
	rep.value("ok", e.OK, "recorded as failed")
	rep.value("identity_priv", string(e.IdentityPriv) == string(s.IdentityPriv), "not the one asked for")
	rep.value("identity_pub", string(e.IdentityPub) == string(full[:]), "ours is %x", full)
	rep.value("identity_pub_compressed", string(e.IdentityPubCompressed) == string(public[:]), "ours is %s", public)
	rep.value("installation_id", e.InstallationID == s.InstallationID, "not the one asked for")
	return nil
}

// identityOf reads the identity key that a step names.
func identityOf(s *step, field string, key hexBytes) (x3dh.IdentityPublicKey, error) {
	p, err := x3dh.ParseIdentity(key)
	if err != nil {
		return p, malformed(fmt.Sprintf("step %d", s.I), "%s: %w", field, err)
	}
	return p, nil
}
