package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/fingerprint"
)

// IdentityCmd is what people do with the identities that a store hosts.
type IdentityCmd struct {
	Create IdentityCreateCmd `cmd:"" help:"Make a new identity, and the store if there is none."`
	Import IdentityImportCmd `cmd:"" help:"Host an identity of which the phrase or the private key is at hand, as a new device of it."`
	List   IdentityListCmd   `cmd:"" help:"List the identities of a store."`
	Show   IdentityShowCmd   `cmd:"" help:"Show an identity, and what to compare with a contact."`
	QR     IdentityQRCmd     `cmd:"" name:"qr" help:"Show an identity's contact code as a QR code."`
	Delete IdentityDeleteCmd `cmd:"" help:"Delete an identity from this store, for good."`
}

// identityView is an identity as results show it.
type identityView struct {
	Identity     string `json:"identity"` // compressed, as everywhere
	Installation string `json:"installation"`
	Name         string `json:"name"`
	Retired      bool   `json:"retired"`
	Successor    string `json:"successor,omitempty"`   // the installation that took its place
	PhraseFile   string `json:"phrase_file,omitempty"` // of create
}

func viewOf(i *rookery.Identity) identityView {
	v := identityView{Identity: i.PublicKey().String(), Installation: i.InstallationID(), Name: i.Name(), Retired: i.Retired()}
	if next, ok := i.Successor(); ok {
		v.Successor = next.InstallationID()
	}
	return v
}

func (v identityView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.Identity)
	if v.Name != "" {
		field(w, "name", "%s", v.Name)
	}
	field(w, "installation", "%s", v.Installation)
	if v.Retired {
		field(w, "retired", "its place was taken by %s", v.Successor)
	}
	if v.PhraseFile != "" {
		field(w, "phrase", "in %s: whoever has it is this identity", v.PhraseFile)
	}
}

// IdentityCreateCmd makes an identity.
type IdentityCreateCmd struct {
	host
	Name     string `name:"name" placeholder:"NAME" help:"What to call it on this host; nobody else gets to know."`
	PhraseTo string `name:"phrase-to" type:"path" placeholder:"FILE" help:"Derive its key from a new phrase of 12 words (BIP-39), which is written to this new file."`
}

// Run implements kong's command.
func (c *IdentityCreateCmd) Run(out *output) error {
	n := rookery.NewIdentity{Name: c.Name}
	if c.PhraseTo != "" {
		phrase, err := rookery.NewPhrase()
		if err != nil {
			return err
		}
		n.Phrase = phrase
		// It is on the disk before there is an identity that depends on it.
		err = newFile(c.PhraseTo, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, phrase)
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.create(out, n, c.PhraseTo)
}

// create hosts an identity and shows it. If there is none for certain in the end, the
// file of its phrase goes.
func (h *host) create(out *output, n rookery.NewIdentity, phraseFile string) error {
	ctx, stop := interruptible()
	defer stop()
	perhaps := false
	err := h.run(ctx, out, needs{makes: true}, func(ctx context.Context, engine *rookery.Engine) error {
		if n.Name != "" && slices.ContainsFunc(engine.Identities(), func(i *rookery.Identity) bool { return i.Name() == n.Name }) {
			return fmt.Errorf("%w: there is one called %q", rookery.ErrName, n.Name)
		}
		i, err := engine.CreateIdentity(ctx, n)
		perhaps = !errors.Is(err, rookery.ErrName)
		if err != nil && perhaps && phraseFile != "" {
			return fmt.Errorf("%w; the phrase in %s may be of no identity", err, phraseFile)
		}
		if err != nil {
			return err
		}
		v := viewOf(i)
		v.PhraseFile = phraseFile
		return errors.Join(h.show(out, v), h.announce(ctx, i))
	})
	if err != nil && !perhaps && phraseFile != "" {
		return errors.Join(err, os.Remove(phraseFile))
	}
	return err
}

// IdentityImportCmd hosts an identity that exists.
type IdentityImportCmd struct {
	host
	Name       string `name:"name" placeholder:"NAME" help:"What to call it on this host; nobody else gets to know."`
	PhraseFile string `name:"phrase-file" type:"path" xor:"secret" required:"" placeholder:"FILE" help:"A file with its phrase (BIP-39), as for Status; - reads standard input."`
	PrivateKey string `name:"private-key-file" type:"path" xor:"secret" required:"" placeholder:"FILE" help:"A file with its private key in hexadecimal; - reads standard input."`
}

// Run implements kong's command.
func (c *IdentityImportCmd) Run(out *output) error {
	n := rookery.NewIdentity{Name: c.Name}
	if c.PhraseFile != "" {
		text, err := secretText(out, c.PhraseFile)
		if err != nil {
			return err
		}
		n.Phrase = strings.Join(strings.Fields(text), " ")
		return c.create(out, n, "")
	}
	text, err := secretText(out, c.PrivateKey)
	if err != nil {
		return err
	}
	if n.Key, err = hex.DecodeString(strings.TrimPrefix(text, "0x")); err != nil {
		return explained(fmt.Errorf("%s: %w", c.PrivateKey, rookery.ErrPrivateKey)) // and nothing of it
	}
	defer clear(n.Key)
	return c.create(out, n, "")
}

// secretText reads one line that is nobody else's business, from a private file or
// from standard input.
func secretText(out *output, path string) (string, error) {
	if path != "-" {
		return readPassphrase(path)
	}
	text, err := io.ReadAll(io.LimitReader(out.stdin, maxPassphrase+1))
	if err != nil {
		return "", fmt.Errorf("standard input: %w", err)
	}
	line := strings.TrimSpace(string(text))
	if line == "" || len(text) > maxPassphrase || strings.ContainsAny(line, "\r\n") {
		return "", fmt.Errorf("standard input: it has to hold one line of at most %d bytes", maxPassphrase)
	}
	return line, nil
}

// IdentityListCmd lists identities.
type IdentityListCmd struct {
	host
}

// Run implements kong's command.
func (c *IdentityListCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	return c.run(ctx, out, needs{}, func(_ context.Context, engine *rookery.Engine) error {
		for _, i := range inOrder(engine) {
			if err := c.show(out, viewOf(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// IdentityShowCmd shows an identity.
type IdentityShowCmd struct {
	hosted
	With string `name:"with" placeholder:"CONTACT" help:"Also show the safety number with this contact."`
}

// identityDetails is what is shown of one identity.
type identityDetails struct {
	identityView
	Uncompressed string `json:"uncompressed"` // as Status shows chat keys
	Devices      int    `json:"devices"`      // this one included
	Contacts     int    `json:"contacts"`
	With         string `json:"with,omitempty"`
	SafetyNumber string `json:"safety_number,omitempty"`
}

func (v identityDetails) print(w io.Writer) {
	v.identityView.print(w)
	field(w, "as Status shows it", "%s", v.Uncompressed)
	field(w, "devices", "%d (rookery device list)", v.Devices)
	field(w, "contacts", "%d (rookery contact list)", v.Contacts)
	if v.SafetyNumber != "" {
		field(w, "with", "%s", v.With)
		printSafetyNumber(w, v.SafetyNumber)
	}
}

// printSafetyNumber writes it in three rows of four groups, to be read aloud.
func printSafetyNumber(w io.Writer, number string) {
	name := "safety number"
	for row := range slices.Chunk(strings.Fields(number), 4) {
		field(w, name, "%s", strings.Join(row, " "))
		name = ""
	}
}

// uncompressed is a key as Status shows it.
func uncompressed(key rookery.PublicKey) (string, error) {
	long, err := key.Uncompressed()
	return "0x" + hex.EncodeToString(long[:]), err
}

// Run implements kong's command.
func (c *IdentityShowCmd) Run(out *output) error {
	return c.withIdentity(out, needs{}, func(ctx context.Context, i *rookery.Identity) error {
		long, err := uncompressed(i.PublicKey())
		if err != nil {
			return err
		}
		own, err := i.Contact(ctx, i.PublicKey())
		if err != nil {
			return err
		}
		v := identityDetails{identityView: viewOf(i), Uncompressed: long, Devices: 1 + len(own.Installations)}
		for _, err := range i.Contacts(ctx) {
			if err != nil {
				return err
			}
			v.Contacts++
		}
		if c.With != "" {
			contact, err := pickContact(ctx, i, c.With)
			if err != nil {
				return err
			}
			v.With, v.SafetyNumber = contact.String(), fingerprint.SafetyNumber(i.PublicKey(), contact)
		}
		return c.show(out, v)
	})
}

// IdentityDeleteCmd deletes an identity.
type IdentityDeleteCmd struct {
	hosted
	Yes bool `name:"yes" help:"Really: its keys, contacts and messages are gone from this store for good."`
}

var errNotSure = errors.New("deleting an identity cannot be undone; say --yes if its keys, contacts and messages are to go")

// Run implements kong's command.
func (c *IdentityDeleteCmd) Run(out *output) error {
	if !c.Yes {
		return errNotSure
	}
	ctx, stop := interruptible()
	defer stop()
	return c.run(ctx, out, needs{}, func(ctx context.Context, engine *rookery.Engine) error {
		i, err := pickIdentity(engine, c.Identity)
		if err != nil {
			return err
		}
		v := deletedView{Identity: i.PublicKey().String(), Installation: i.InstallationID(), Name: i.Name(), Deleted: true}
		if err := engine.DeleteIdentity(ctx, i.PublicKey(), i.InstallationID()); err != nil {
			return err
		}
		return c.show(out, v)
	})
}

// deletedView is what a deletion says.
type deletedView struct {
	Identity     string `json:"identity"`
	Installation string `json:"installation"`
	Name         string `json:"name"`
	Deleted      bool   `json:"deleted"`
}

func (v deletedView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.Identity)
	field(w, "installation", "%s", v.Installation)
	field(w, "deleted", "for good")
}
