package replay

import (
	"bytes"
	"slices"
	"strings"

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
	list := func(known devices) []listed {
		var list []listed
		switch s.Cmd {
		case "our_installations":
			for _, x := range known.all(identity) {
				list = append(list, listed{ID: x.id, Version: x.version, Enabled: x.enabled, Timestamp: x.timestamp})
			}
			list = append(list, listed{ID: n.installation, Version: protocolVersion, Enabled: true})
			slices.SortFunc(list, func(a, b listed) int { return strings.Compare(a.ID, b.ID) })
		case "our_active_installations":
			for _, x := range known.active(identity, maxInstallations-1) {
				list = append(list, listed{ID: x.id, Version: x.version, Enabled: true})
			}
			// Our own comes last, without its flag.
			list = append(list, listed{ID: n.installation, Version: protocolVersion})
		default:
			for _, x := range known.active(identity, maxInstallations) {
				list = append(list, listed{ID: x.id, Version: x.version, Enabled: true})
			}
		}
		return list
	}
	rep.value("ok", s.Expect.OK, "recorded as failed")
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
	rep.value("ok", s.Expect.OK, "recorded as failed")
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
