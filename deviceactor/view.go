package deviceactor

import (
	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/x3dh"
)

// View is the hosted installation that a contact is seen from, and what its
// application has chosen.
type View struct {
	Own          x3dh.IdentityPublicKey
	Installation string
	// MaxInstallations is how many installations of a contact a message goes
	// to, and how many our own identity has, this one included (54,
	// Recommendations: 3).
	MaxInstallations int
	Requests         RequestPolicy
	Devices          DevicePolicy
	// Retired is set for an installation that has a successor, since its state
	// was put back to an older one: it reads what is still sent to it, and
	// encrypts nothing, for it may have used the message keys that come next.
	Retired bool
}

// DefaultMaxInstallations is View.MaxInstallations where the application says nothing.
const DefaultMaxInstallations = 3

// ErrRetired: the installation has a successor, which has to be used instead.
var ErrRetired = bundleactor.ErrRetired

// RequestPolicy says what becomes of the first message of an unknown identity.
type RequestPolicy uint8

const (
	// AcceptAll: it is a message like any other.
	AcceptAll RequestPolicy = iota
	// Ask: it is a contact request that waits for the application's answer.
	Ask
	// DenyAll: it is refused before anything is computed or stored.
	DenyAll
)

// DevicePolicy says what becomes of a contact's new installation. Those of our
// own identity always need approval.
type DevicePolicy uint8

const (
	// EnableNew: it is sent to from then on, as deployed.
	EnableNew DevicePolicy = iota
	// AskFirst: unless it is the first we hear of the contact, it gets nothing
	// before the application has approved it (T33).
	AskFirst
)

// own tells whether the contact stands for our own other installations.
func (c *Contact) own(v View) bool { return c.Identity == v.Own }

// itself is the id of the hosted installation if it is one of the contact's,
// else "". Another identity may use the same installation id.
func (c *Contact) itself(v View) string {
	if c.own(v) {
		return v.Installation
	}
	return ""
}

// enables tells whether an installation that is new is sent to at once.
func (c *Contact) enables(v View) bool {
	return !c.own(v) && (v.Devices == EnableNew || len(c.Installations) == 0)
}

// cap is how many installations of the contact a message goes to: of our own
// identity one less, since this one has the message.
func (c *Contact) cap(v View) int {
	if c.own(v) {
		return v.MaxInstallations - 1
	}
	return v.MaxInstallations
}
