package sim

import (
	"errors"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// causes name refusals for the report; the first that matches counts.
var causes = []struct {
	name string
	err  error
}{
	{"copy lost", deviceactor.ErrCopyLost},
	{"cloned", sessionactor.ErrCloned},
	{"message key gone", ratchet.ErrMessageKeyGone},
	{"MAC", ratchet.ErrMAC},
	{"too many skipped", ratchet.ErrTooManySkipped},
	{"unknown ratchet key", ratchet.ErrUnknownRatchetKey},
	{"ratchet header", ratchet.ErrHeader},
	{"ciphertext", ratchet.ErrCiphertext},
	{"no session", sessionactor.ErrNoSession},
	{"unknown prekey", sessionactor.ErrUnknownPreKey},
	{"stale prekey", sessionactor.ErrStalePreKey},
	{"no prekey", sessionactor.ErrNoPreKey},
	{"header", sessionactor.ErrHeader},
	{"too many sessions", sessionactor.ErrTooManySessions},
	{"replayed", deviceactor.ErrReplayed},
	{"not targeted", deviceactor.ErrNotTargeted},
	{"own echo", deviceactor.ErrOwnEcho},
	{"denied", deviceactor.ErrDenied},
	{"unsupported", deviceactor.ErrUnsupported},
	{"too many installations", deviceactor.ErrTooManyInstallations},
	{"unknown installation", deviceactor.ErrUnknownInstallation},
	{"no request", deviceactor.ErrNoRequest},
	{"no target", deviceactor.ErrNoTarget},
	{"lease over", deviceactor.ErrLeaseOver},
	{"evicted", deviceactor.ErrEvicted},
	{"ignored", deviceactor.ErrIgnored},
	{"conflict", deviceactor.ErrConflict},
	{"downgrade", deviceactor.ErrDowngrade},
	{"bundle timestamp", x3dh.ErrBundleTimestamp},
	{"bundle", x3dh.ErrUntrustedBundle},
	{"decrypt", x3dh.ErrDecrypt},
	{"key", x3dh.ErrKey},
	{"clock", bundleactor.ErrClock},
	{"store", errDiskFault},
	{"power", errPowerOff},
}

func causeOf(err error) string {
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	var malformed *wire.DecodeError
	if errors.As(err, &malformed) {
		return "malformed"
	}
	return "other"
}

func isAny(err error, targets ...error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// graceOver tells whether a device believes to have lived long enough for
// prekeys and sessions to be destroyed.
func graceOver(d *device) bool { return d.lifetime() >= 14*24*time.Hour }

// excuse finds the reason why a device may refuse an envelope, "" if there is
// none.
func (w *world) excuse(f *flight, err error) string {
	d, p := f.to, f.publication
	switch {
	case f.altered:
		return "altered"
	case errors.Is(err, deviceactor.ErrOwnEcho):
		return unless(f.from.id != d.id, "own")
	case d.tainted || f.from.tainted:
		return "older state at work"
	case errors.Is(err, deviceactor.ErrDenied):
		return unless(d.person.view.Requests != deviceactor.DenyAll, "policy")
	case p == nil:
		return w.excuseKeys(f, err)
	case errors.Is(err, deviceactor.ErrNotTargeted):
		return unless(p.goesTo(d), "for others")
	case d.seen[p.of] != nil || p.fate(d).unread > 0:
		return unless(!isAny(err, ratchet.ErrMessageKeyGone, ratchet.ErrUnknownRatchetKey, ratchet.ErrMAC,
			ratchet.ErrTooManySkipped, sessionactor.ErrNoSession, sessionactor.ErrUnknownPreKey, deviceactor.ErrReplayed), "duplicate")
	case d.waiting(p.of):
		return "in the inbox"
	case d.denied[f.from.person]:
		return "denied and forgotten"
	case f.from.denied[d.person] && isAny(err, ratchet.ErrMessageKeyGone, ratchet.ErrUnknownRatchetKey, ratchet.ErrMAC):
		return "its sender has denied and forgotten" // and made the session again from a late initial message
	case graceOver(d) && isAny(err, ratchet.ErrMessageKeyGone, ratchet.ErrUnknownRatchetKey, ratchet.ErrMAC,
		sessionactor.ErrNoSession, sessionactor.ErrUnknownPreKey):
		return "too old"
	}
	return ""
}

// excuseKeys is excuse for an envelope that only carries keys.
func (w *world) excuseKeys(f *flight, err error) string {
	switch {
	case errors.Is(err, deviceactor.ErrReplayed):
		return "duplicate"
	case errors.Is(err, x3dh.ErrBundleTimestamp):
		return unless(!f.from.jumped && !f.to.jumped, "wrong clock")
	}
	return ""
}

// excuseSending finds the reason why a payload could not be sent to anybody or
// to one installation.
func (w *world) excuseSending(d *device, to *person, err error) string {
	switch {
	case errors.Is(err, bundleactor.ErrClock):
		return unless(!d.jumped, "wrong clock")
	case deviceactor.Unhandled(err):
		return unless(!d.faulty, "store failure")
	case errors.Is(err, sessionactor.ErrStalePreKey):
		return w.excuseStale(d, to)
	case errors.Is(err, sessionactor.ErrNoPreKey):
		return w.excuseNoPreKey()
	case errors.Is(err, deviceactor.ErrNoTarget):
		return w.excuseNoTarget(d, to)
	}
	return ""
}

// excuseStale: the newest bundle of an installation is older than its owner keeps
// prekeys, by the clock of the sender.
func (w *world) excuseStale(d *device, to *person) string {
	contact, err := d.running.Contact(ctx, to.public)
	if err != nil {
		return unless(!d.faulty, "store failure")
	}
	for i := range contact.Installations {
		if d.last-contact.Installations[i].Entry.Timestamp >= int64(15*24*time.Hour) {
			return "too old"
		}
	}
	return ""
}

// excuseNoPreKey: an installation was heard of without its bundle, since one of
// the clocks was wrong or its message altered.
func (w *world) excuseNoPreKey() string {
	if len(w.devices(func(d *device) bool { return d.jumped })) > 0 {
		return "wrong clock"
	}
	return ""
}

// excuseNoTarget: nobody else is one of us, or all installations are disabled,
// stale, or wait for approval.
func (w *world) excuseNoTarget(d *device, to *person) string {
	contact, err := d.running.Contact(ctx, to.public)
	if err != nil {
		return unless(!d.faulty, "store failure")
	}
	if to == d.person && len(contact.Targets(d.config().View, d.clock())) == 0 {
		return "no other device"
	}
	for i := range contact.Installations {
		in := &contact.Installations[i]
		stale := in.OmittedSince != 0 && d.clock()-in.OmittedSince >= int64(7*24*time.Hour)
		if in.Enabled && !stale {
			return ""
		}
	}
	return "nobody enabled"
}

// excusedSweep tells whether a sweep may fail.
func (w *world) excusedSweep(d *device, err error) bool {
	return d.faulty || isAny(err, bundleactor.ErrClock) && d.jumped
}
