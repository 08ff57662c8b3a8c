package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
)

// SessionCmd is what people do to see why something cannot be read.
type SessionCmd struct {
	Explain SessionExplainCmd `cmd:"" help:"Say how it stands with a contact: devices, sessions, what waits, and what happens next. Writes nothing."`
}

// SessionExplainCmd explains the sessions with one contact.
type SessionExplainCmd struct {
	Dir string `name:"dir" required:"" type:"path" env:"ROOKERY_DIR" placeholder:"DIR" help:"Directory of the store (ROOKERY_DIR)."`
	opener
	Identity string `name:"identity" env:"ROOKERY_IDENTITY" placeholder:"WHO" help:"Which identity: its name, or the beginning of its key or installation id; not needed if there is only one (ROOKERY_IDENTITY)."`
	JSON     bool   `name:"json" help:"Write one JSON object instead of text."`
	Contact  string `arg:"" help:"A public key, or the beginning of that of a known contact."`
}

// contactExplained is how it stands with a contact.
type contactExplained struct {
	Contact        string            `json:"contact"`
	Identity       string            `json:"identity"`
	Standing       string            `json:"standing"`
	Blocked        bool              `json:"blocked"`
	ForwardSecrecy bool              `json:"forward_secrecy"`
	Unsent         int               `json:"unsent"`         // messages that the network has not taken; at most 1,000 are counted
	Unacknowledged int               `json:"unacknowledged"` // messages that the application has not; likewise
	Next           []string          `json:"next"`
	Devices        []deviceExplained `json:"devices"`
}

// deviceExplained is how it stands with one device of it.
type deviceExplained struct {
	deviceView
	PreKey   *prekeyView   `json:"prekey,omitempty"` // the newest that is known
	Sessions []sessionView `json:"sessions"`         // in the order they were made
	Next     string        `json:"next"`
}

// prekeyView is a signed prekey of somebody else.
type prekeyView struct {
	Version     uint32 `json:"version"`
	Signed      string `json:"signed"`
	BySibling   bool   `json:"by_sibling"`   // another device of the contact says so
	UsableUntil string `json:"usable_until"` // its owner may have destroyed it then
}

// sessionView is a session without anything secret.
type sessionView struct {
	Session string `json:"session"`
	State   string `json:"state"`
	InUse   bool   `json:"in_use"`
	Ours    bool   `json:"started_by_us"`
	Created string `json:"created"`
	Skipped int    `json:"skipped_keys"`         // kept for messages that may come late
	Deleted string `json:"deleted_at,omitempty"` // of one that is expired
}

// Run implements kong's command.
func (c *SessionExplainCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	place := storePlace{Dir: c.Dir, opener: c.opener}
	store, err := place.read(ctx)
	if err != nil {
		return err
	}
	v, err := c.explain(ctx, store, time.Now().UnixNano())
	if err := errors.Join(err, store.Close()); err != nil {
		return explained(err)
	}
	if c.JSON {
		return writeJSON(out.stdout, v)
	}
	v.print(out.stdout)
	return nil
}

func (c *SessionExplainCmd) explain(ctx context.Context, store persistence.Store, now int64) (contactExplained, error) {
	all, err := storedIdentities(ctx, store, refuse)
	if err != nil {
		return contactExplained{}, err
	}
	us, err := pickStored(all, c.Identity)
	if err != nil {
		return contactExplained{}, err
	}
	key, err := pickStoredContact(ctx, store, us, c.Contact)
	if err != nil {
		return contactExplained{}, err
	}
	if key == us.key {
		return contactExplained{}, deviceactor.ErrOwnIdentity
	}
	return explainContact(ctx, store, us, key, now)
}

// explainContact says what the store has of a contact.
func explainContact(ctx context.Context, store persistence.Store, us storedIdentity, key rookery.PublicKey, now int64) (contactExplained, error) {
	x, err := deviceactor.Explain(ctx, store, us.owner, us.view(), key, now)
	if err != nil {
		return contactExplained{}, err
	}
	v := contactExplained{
		Contact: key.String(), Identity: us.key.String(), Standing: x.Standing.String(),
		Blocked: x.Blocked, ForwardSecrecy: x.ForwardSecrecy, Unsent: x.Unsent, Unacknowledged: x.Unacknowledged, Devices: []deviceExplained{},
	}
	for i, in := range x.Installations {
		v.Devices = append(v.Devices, explainDevice(key, in, x.Sessions[i]))
	}
	v.Next = whatIsNext(us, x.Contact, v)
	return v, nil
}

func (v contactExplained) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.Contact)
	field(w, "standing", "%s", v.Standing)
	field(w, "forward secrecy", "%s", map[bool]string{true: "yes", false: "not before it has answered"}[v.ForwardSecrecy])
	field(w, "not sent yet", "%d", v.Unsent)
	field(w, "not acknowledged", "%d", v.Unacknowledged)
	for _, next := range v.Next {
		field(w, "next", "%s", next)
	}
	for _, d := range v.Devices {
		d.print(w)
	}
}

func (d deviceExplained) print(w io.Writer) {
	d.printWithin(w)
	if d.Active != "" {
		field(w, "  last message", "%s", d.Active)
	}
	if p := d.PreKey; p != nil {
		by := ""
		if p.BySibling {
			by = ", as another of its devices says"
		}
		field(w, "  prekey", "version %d, signed %s%s, usable until %s", p.Version, p.Signed, by, p.UsableUntil)
	}
	for _, s := range d.Sessions {
		use := map[bool]string{true: ", in use"}[s.InUse]
		by := map[bool]string{true: "us", false: "it"}[s.Ours]
		ends := ""
		if s.Deleted != "" {
			ends = ", only reads, deleted " + s.Deleted
		}
		field(w, "  session", "%.16s %s%s%s, started by %s %s, %d skipped keys", s.Session, s.State, use, ends, by, s.Created, s.Skipped)
	}
	field(w, "  next", "%s", d.Next)
}
