package daemon

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/qrcode"
)

// explained is how it stands with a contact, as callers get it.
type explained struct {
	Contact      struct{ PublicKey, Standing string }
	SafetyNumber string
	Unsent       int
	Devices      []struct {
		Installation, Outlook string
		Prekey                struct{ Version int }
		Sessions              []struct {
			State              string
			InUse, StartedByUs bool
		}
	}
}

func (r *resident) explains(other *resident) explained {
	r.h.t.Helper()
	var x explained
	r.call("ContactService/ExplainContact", object{"contact": other.key}, &x)
	if len(x.Devices) != 1 || x.Contact.PublicKey != other.key {
		r.h.t.Fatalf("got %+v", x)
	}
	return x
}

// How it stands with a contact is told at each step of a conversation, to both sides,
// who see the same safety number.
func TestContactIsExplainedAtEachStep(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	h.refused("not_found", alice.token, "ContactService/ExplainContact", object{"identity": alice.key, "contact": bob.key})
	h.refused("invalid_argument", alice.token, "ContactService/ExplainContact", object{"identity": alice.key, "contact": alice.key})
	h.refused("permission_denied", alice.token, "ContactService/ExplainContact", object{"identity": bob.key, "contact": alice.key})
	alice.knows(bob)
	if d := alice.explains(bob).Devices[0]; d.Outlook != "OUTLOOK_STARTS" || len(d.Sessions) != 0 || d.Prekey.Version != 1 {
		t.Errorf("before the first message: %+v", d)
	}
	alice.send(bob, "hello", "")
	bob.listen("").message()
	atAlice, atBob := alice.explains(bob), bob.explains(alice)
	if d := atAlice.Devices[0]; d.Outlook != "OUTLOOK_REPEATS" || len(d.Sessions) != 1 || d.Sessions[0].State != "SESSION_STATE_INITIATED" || !d.Sessions[0].StartedByUs || !d.Sessions[0].InUse {
		t.Errorf("before the answer: %+v", d)
	}
	if d := atBob.Devices[0]; d.Outlook != "OUTLOOK_CONTINUES" || d.Sessions[0].State != "SESSION_STATE_ESTABLISHED" || d.Sessions[0].StartedByUs {
		t.Errorf("at the other end: %+v", d)
	}
	if atAlice.SafetyNumber != atBob.SafetyNumber || len(atAlice.SafetyNumber) != 71 || atBob.Contact.Standing != "STANDING_REQUESTED" {
		t.Errorf("got %+v and %+v", atAlice, atBob)
	}
	bob.send(alice, "hello back", "")
	alice.listen("").message()
	if d := alice.explains(bob).Devices[0]; d.Outlook != "OUTLOOK_CONTINUES" || d.Sessions[0].State != "SESSION_STATE_ESTABLISHED" {
		t.Errorf("after the answer: %+v", d)
	}
}

// The picture of a contact code has the code, and comes to who wants it.
func TestContactCodeComesAsAPicture(t *testing.T) {
	h := newHouse(t)
	alice := h.resident("alice")
	var without, with struct {
		ContactCode string
		QRCodePNG   []byte `json:"qrCodePng"`
	}
	alice.call("IdentityService/GetContactCode", object{}, &without)
	alice.call("IdentityService/GetContactCode", object{"qrCode": true}, &with)
	if got, err := qrcode.Read(bytes.NewReader(with.QRCodePNG)); err != nil || got != with.ContactCode || !strings.HasPrefix(got, "ROOKERY:1:") {
		t.Errorf("%q, %v", got, err)
	}
	if without.QRCodePNG != nil {
		t.Error("nobody has asked for a picture")
	}
}

// deviceSeen is a device as callers get it.
type deviceSeen struct {
	Installation    string
	Enabled, Denied bool
}

// twice hosts another device of an identity, of which the first hears.
func (h *house) twice(name string) (first, second string) {
	h.t.Helper()
	const phrase = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	var ids [2]string
	for n := range ids {
		var made struct {
			Identity struct{ PublicKey, Installation string }
		}
		h.call(h.admin, "IdentityService/CreateIdentity", object{"name": name, "phrase": phrase}, &made)
		ids[n] = made.Identity.PublicKey + "/" + made.Identity.Installation
	}
	var code struct{ ContactCode string }
	h.call(h.admin, "IdentityService/GetContactCode", object{"identity": ids[1]}, &code)
	h.call(h.admin, "ContactService/AddContact", object{"identity": ids[0], "contactCode": code.ContactCode}, nil)
	return ids[0], ids[1]
}

// A new device waits until it is approved or denied, and is told apart from one that
// was denied.
func TestDeviceWaitsUntilItIsApprovedOrDenied(t *testing.T) {
	h := newHouse(t)
	first, second := h.twice("alice")
	_, id, _ := strings.Cut(second, "/")
	state := func(want deviceSeen) {
		t.Helper()
		var got struct{ Devices []deviceSeen }
		h.call(h.admin, "ContactService/ListDevices", object{"identity": first}, &got)
		var list struct {
			Identities []struct {
				Installation   string
				WaitingDevices int
			}
		}
		h.call(h.admin, "IdentityService/ListIdentities", object{"waitingDevices": true}, &list)
		for _, one := range list.Identities { // the other hears of this one when it is approved
			if waits := one.WaitingDevices == 1; strings.HasSuffix(first, one.Installation) && waits != (!want.Enabled && !want.Denied) {
				t.Errorf("%+v: %d wait", want, one.WaitingDevices)
			}
		}
		if want.Installation = id; len(got.Devices) != 1 || got.Devices[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	request := object{"identity": first, "installation": id}
	state(deviceSeen{})
	h.call(h.admin, "ContactService/DenyDevice", request, nil)
	state(deviceSeen{Denied: true})
	h.call(h.admin, "ContactService/ApproveDevice", request, nil)
	state(deviceSeen{Enabled: true})
	h.call(h.admin, "ContactService/DenyDevice", request, nil)
	state(deviceSeen{Denied: true})
}
