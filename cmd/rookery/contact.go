package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/fingerprint"
)

// ContactCmd is what people do with those they know.
type ContactCmd struct {
	Add     ContactAddCmd     `cmd:"" help:"Take somebody's contact code, from text or a picture, or public key."`
	List    ContactListCmd    `cmd:"" help:"List the contacts of an identity, and who waits for an answer."`
	Show    ContactShowCmd    `cmd:"" help:"Show a contact with its devices and safety number."`
	Accept  ContactAcceptCmd  `cmd:"" help:"Accept a contact request."`
	Deny    ContactDenyCmd    `cmd:"" help:"Deny a contact request, or forget a contact with all that is kept of it."`
	Block   ContactBlockCmd   `cmd:"" help:"Refuse everything that a contact sends, until it is unblocked."`
	Unblock ContactUnblockCmd `cmd:"" help:"Let a blocked contact write again."`
}

// contactView is a contact as results show it.
type contactView struct {
	Contact        string `json:"contact"`  // its public key, compressed
	Standing       string `json:"standing"` // stranger, requested, accepted
	Blocked        bool   `json:"blocked"`
	ForwardSecrecy bool   `json:"forward_secrecy"` // a message of it came in a session
	Devices        int    `json:"devices"`
	FirstSeen      string `json:"first_seen,omitempty"`
}

func viewContact(c deviceactor.Contact) contactView {
	return contactView{
		Contact:        c.Identity.String(),
		Standing:       c.Standing.String(),
		Blocked:        c.Blocked,
		ForwardSecrecy: c.ForwardSecrecy,
		Devices:        len(c.Installations),
		FirstSeen:      stamp(c.FirstSeen),
	}
}

func (v contactView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.Contact)
	standing := v.Standing
	if v.Blocked {
		standing += ", blocked"
	}
	field(w, "standing", "%s", standing)
	field(w, "forward secrecy", "%s", map[bool]string{true: "yes", false: "not before it has answered"}[v.ForwardSecrecy])
	field(w, "devices", "%d", v.Devices)
	if v.FirstSeen != "" {
		field(w, "first seen", "%s", v.FirstSeen)
	}
}

// ContactAddCmd adds a contact.
type ContactAddCmd struct {
	hosted
	Code  string `arg:"" optional:"" help:"A contact code (ROOKERY:1:...) or a public key in hexadecimal; - reads standard input."`
	Image string `name:"image" type:"path" placeholder:"FILE" help:"A picture of the contact code's QR code, PNG or JPEG."`
}

var errOneCode = errors.New("whose? Give a contact code, a public key, or --image with a picture of a code")

// maxCodeText bounds what is read from standard input, in bytes.
const maxCodeText = 64 << 10

// Run implements kong's command.
func (c *ContactAddCmd) Run(out *output) error {
	text, err := c.text(out)
	if err != nil {
		return err
	}
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		contact, err := addContact(ctx, i, text)
		if err != nil {
			return err
		}
		if c.Transport != "" {
			awaitCode(ctx, i, contact)
		}
		return c.showContact(ctx, out, i, contact)
	})
}

// text gives the code or key.
func (c *ContactAddCmd) text(out *output) (string, error) {
	switch {
	case (c.Code == "") == (c.Image == ""):
		return "", errOneCode
	case c.Image != "":
		text, err := readQRCode(c.Image)
		if err == nil && !rookery.IsContactCode(text) {
			err = fmt.Errorf("%s: %w: the QR code says something else", c.Image, rookery.ErrContactCode)
		}
		return text, err
	case c.Code != "-":
		return c.Code, nil
	}
	text, err := io.ReadAll(io.LimitReader(out.stdin, maxCodeText))
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	return string(text), nil
}

// addContact takes a contact code or a public key.
func addContact(ctx context.Context, i *rookery.Identity, text string) (rookery.PublicKey, error) {
	if rookery.IsContactCode(text) {
		return i.TakeContactCode(ctx, text)
	}
	contact, err := rookery.ParsePublicKey(text)
	if err != nil {
		return contact, fmt.Errorf("neither a contact code nor a public key: %w", err)
	}
	return contact, i.AddContact(ctx, contact)
}

// codePatience is how long the network is given to find the contact code of somebody
// who was added by key.
const codePatience = 5 * time.Second

// awaitCode waits until a device of the contact is known: the first message to it has
// forward secrecy then.
func awaitCode(ctx context.Context, i *rookery.Identity, contact rookery.PublicKey) {
	ctx, cancel := context.WithTimeout(ctx, codePatience)
	defer cancel()
	for {
		c, err := i.Contact(ctx, contact)
		if err != nil || len(c.Installations) > 0 {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// showContact shows what a contact is now.
func (h *host) showContact(ctx context.Context, out *output, i *rookery.Identity, contact rookery.PublicKey) error {
	c, err := i.Contact(ctx, contact)
	if err != nil {
		return err
	}
	return h.show(out, viewContact(c))
}

// ContactListCmd lists contacts.
type ContactListCmd struct {
	hosted
	Requests bool `name:"requests" help:"Only those that wait for an answer."`
}

// Run implements kong's command.
func (c *ContactListCmd) Run(out *output) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		for contact, err := range i.Contacts(ctx) {
			if err != nil {
				return err
			}
			if c.Requests && (contact.Standing != deviceactor.Requested || contact.Blocked) {
				continue
			}
			if err := c.show(out, viewContact(contact)); err != nil {
				return err
			}
		}
		return nil
	})
}

// aContact is one contact of one identity.
type aContact struct {
	hosted
	Contact string `arg:"" help:"A public key, or the beginning of that of a known contact."`
}

// change does something with the contact and shows what it is then.
func (c *aContact) change(out *output, do func(context.Context, *rookery.Identity, rookery.PublicKey) error) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		contact, err := pickContact(ctx, i, c.Contact)
		if err != nil {
			return err
		}
		if err := do(ctx, i, contact); err != nil {
			return err
		}
		return c.showContact(ctx, out, i, contact)
	})
}

// ContactShowCmd shows a contact.
type ContactShowCmd struct{ aContact }

// contactDetails is what is shown of one contact.
type contactDetails struct {
	contactView
	Uncompressed  string       `json:"uncompressed"` // as Status shows chat keys
	SafetyNumber  string       `json:"safety_number"`
	Installations []deviceView `json:"installations"`
}

func (v contactDetails) print(w io.Writer) {
	v.contactView.print(w)
	field(w, "as Status shows it", "%s", v.Uncompressed)
	printSafetyNumber(w, v.SafetyNumber)
	for _, d := range v.Installations {
		d.printWithin(w)
	}
}

// Run implements kong's command.
func (c *ContactShowCmd) Run(out *output) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		key, err := pickContact(ctx, i, c.Contact)
		if err != nil {
			return err
		}
		if key == i.PublicKey() {
			return cause.ErrOwnIdentity
		}
		contact, err := i.Contact(ctx, key)
		if err != nil {
			return err
		}
		if contact.FirstSeen == 0 {
			return fmt.Errorf("contact %v %w: nothing is known of it", key, errUnknown)
		}
		v := contactDetails{contactView: viewContact(contact), SafetyNumber: fingerprint.SafetyNumber(i.PublicKey(), key), Installations: []deviceView{}}
		if v.Uncompressed, err = uncompressed(key); err != nil {
			return err
		}
		for _, in := range contact.Installations {
			v.Installations = append(v.Installations, viewDevice(key, in))
		}
		return c.show(out, v)
	})
}

// ContactAcceptCmd accepts a request.
type ContactAcceptCmd struct{ aContact }

// Run implements kong's command.
func (c *ContactAcceptCmd) Run(out *output) error {
	return c.change(out, func(ctx context.Context, i *rookery.Identity, contact rookery.PublicKey) error {
		return i.Accept(ctx, contact)
	})
}

// ContactDenyCmd forgets a contact.
type ContactDenyCmd struct{ aContact }

// Run implements kong's command.
func (c *ContactDenyCmd) Run(out *output) error {
	return c.change(out, func(ctx context.Context, i *rookery.Identity, contact rookery.PublicKey) error {
		return i.Deny(ctx, contact)
	})
}

// ContactBlockCmd blocks a contact.
type ContactBlockCmd struct{ aContact }

// Run implements kong's command.
func (c *ContactBlockCmd) Run(out *output) error {
	return c.change(out, func(ctx context.Context, i *rookery.Identity, contact rookery.PublicKey) error {
		return i.Block(ctx, contact)
	})
}

// ContactUnblockCmd ends that.
type ContactUnblockCmd struct{ aContact }

// Run implements kong's command.
func (c *ContactUnblockCmd) Run(out *output) error {
	return c.change(out, func(ctx context.Context, i *rookery.Identity, contact rookery.PublicKey) error {
		return i.Unblock(ctx, contact)
	})
}
