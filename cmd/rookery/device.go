package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
)

// DeviceCmd is what people do with devices: installations of an identity.
type DeviceCmd struct {
	List    DeviceListCmd    `cmd:"" help:"List our own devices, or those of a contact."`
	Approve DeviceApproveCmd `cmd:"" help:"Let a device take part: ours gets copies of what we send, a contact's is sent to."`
	Disable DeviceDisableCmd `cmd:"" help:"End that, or say no to a device that waits."`
}

// deviceView is an installation as results show it.
type deviceView struct {
	Identity     string `json:"identity"` // whose it is
	Installation string `json:"installation"`
	This         bool   `json:"this"`                 // the one that this store hosts
	Enabled      bool   `json:"enabled"`              // it is sent to
	Denied       bool   `json:"denied"`               // it was disabled; one that is neither waits for approval
	Stale        bool   `json:"stale"`                // left out of its identity's bundles for a week
	FirstSeen    string `json:"first_seen,omitempty"` // not of this one
	Active       string `json:"active,omitempty"`     // when its last message came
}

func viewDevice(of rookery.PublicKey, in deviceactor.Installation) deviceView {
	return deviceView{
		Identity:     of.String(),
		Installation: in.ID,
		Enabled:      in.Enabled,
		Denied:       in.Denied,
		Stale:        in.Stale,
		FirstSeen:    stamp(in.FirstSeen),
		Active:       stamp(in.Active),
	}
}

func (v deviceView) state() string {
	switch {
	case v.This:
		return "this one"
	case v.Denied:
		return "disabled"
	case !v.Enabled:
		return "not approved"
	case v.Stale:
		return "stale"
	}
	return "approved"
}

func (v deviceView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, plain(v.Installation))
	field(w, "of", "%s", v.Identity)
	field(w, "state", "%s", v.state())
	if v.FirstSeen != "" {
		field(w, "first seen", "%s", v.FirstSeen)
	}
	if v.Active != "" {
		field(w, "last message", "%s", v.Active)
	}
}

// printWithin is one line of something else.
func (v deviceView) printWithin(w io.Writer) {
	field(w, "device", "%s, %s", plain(v.Installation), v.state())
}

// devicesOf is our own identity, or a contact of it.
type devicesOf struct {
	hosted
	Contact string `name:"contact" placeholder:"CONTACT" help:"Devices of this contact instead of our own."`
}

func (d *devicesOf) whose(ctx context.Context, i *rookery.Identity) (deviceactor.Contact, error) {
	key := i.PublicKey()
	if d.Contact != "" {
		var err error
		if key, err = pickContact(ctx, i, d.Contact); err != nil {
			return deviceactor.Contact{}, err
		}
	}
	return i.Contact(ctx, key)
}

// DeviceListCmd lists devices.
type DeviceListCmd struct{ devicesOf }

// Run implements kong's command.
func (c *DeviceListCmd) Run(out *output) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		of, err := c.whose(ctx, i)
		if err != nil {
			return err
		}
		var devices []deviceView
		if of.Identity == i.PublicKey() {
			devices = append(devices, deviceView{Identity: of.Identity.String(), Installation: i.InstallationID(), This: true, Enabled: true})
		}
		for _, in := range of.Installations {
			devices = append(devices, viewDevice(of.Identity, in))
		}
		for _, d := range devices {
			if err := c.show(out, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// aDevice is one device.
type aDevice struct {
	devicesOf
	Device string `arg:"" help:"The device's installation id, or the beginning of it."`
}

var errThisDevice = errors.New("that is the device of this store: disable it on each of the others, or delete it here with rookery identity delete")

func (d *aDevice) enable(out *output, change func(i *rookery.Identity, ctx context.Context, of rookery.PublicKey, installation string) error) error {
	return d.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		of, err := d.whose(ctx, i)
		if err != nil {
			return err
		}
		id, err := pickDevice(of, d.Device)
		if errors.Is(err, cause.ErrUnknownInstallation) && of.Identity == i.PublicKey() && begins(i.InstallationID(), d.Device) {
			err = errThisDevice
		}
		if err != nil {
			return err
		}
		if err := change(i, ctx, of.Identity, id); err != nil {
			return err
		}
		if of, err = i.Contact(ctx, of.Identity); err != nil {
			return err
		}
		in, _ := of.Find(id)
		if err := d.show(out, viewDevice(of.Identity, in)); err != nil || of.Identity != i.PublicKey() {
			return err
		}
		return d.announce(ctx, i) // our bundle has changed
	})
}

// DeviceApproveCmd approves a device.
type DeviceApproveCmd struct{ aDevice }

// Run implements kong's command.
func (c *DeviceApproveCmd) Run(out *output) error {
	return c.enable(out, (*rookery.Identity).Approve)
}

// DeviceDisableCmd disables one.
type DeviceDisableCmd struct{ aDevice }

// Run implements kong's command.
func (c *DeviceDisableCmd) Run(out *output) error {
	return c.enable(out, (*rookery.Identity).Disable)
}
