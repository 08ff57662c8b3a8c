package replay

import (
	"bytes"
	"context"
	"errors"
	"math"
	"time"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/installation"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/transport"
)

// Stores makes an empty store for one installation, or for its courier.
type Stores func() persistence.Store

// hosted is one installation of a recording under the full rules: sessions,
// devices, bundles and their records. It gets what the recorded one got, and
// draws the recorded keys.
type hosted struct {
	*installed // in the first pass
	store      persistence.Store
	run        *installation.Installation
	// drawn is the randomness of the step, in the order in which our rules draw
	// it. What they draw beyond it fails, and so what the recording has no keys
	// for is not done: copies for our own other installations, and answers to
	// messages that cannot be read.
	drawn     bytes.Reader
	published [][]byte
	events    []deviceactor.Event
	// made are the ratchet keys that the reference made when it last turned the
	// ratchet of a session.
	made map[sessionactor.ID]generatedKey
	// causes say why our rules stopped using a session.
	causes map[sessionactor.ID]sessionactor.Cause
	// missed are the bundles of messages that we refused: what a look-up finds.
	missed []wire.Bundle
	// initial are the X3DH headers of messages that we refused.
	initial map[initialKey]wire.PublicKey
	// capped says that one more own installation was not approved.
	capped bool
	inbox  map[string]deviceactor.MessageReceived
}

// initialKey is a peer's installation and the prekey of ours that it named.
type initialKey struct {
	peer
	prekey wire.PublicKey
}

func newHosted(n *installed, store persistence.Store) *hosted {
	return &hosted{
		installed: n,
		store:     store,
		made:      map[sessionactor.ID]generatedKey{},
		causes:    map[sessionactor.ID]sessionactor.Cause{},
		initial:   map[initialKey]wire.PublicKey{},
		inbox:     map[string]deviceactor.MessageReceived{},
	}
}

// open starts the installation from its records.
func (h *hosted) open(now int64) error {
	run, err := installation.Open(context.Background(), installation.Config{
		Key:      &h.identity,
		View:     h.view(),
		Store:    h.store,
		Random:   &h.drawn,
		Schedule: h.schedule(),
		Limits:   h.limits,
		Publish:  func(e transport.Envelope) { h.published = append(h.published, e.Payload) },
		Deliver:  h.deliver,
	}, now)
	if err == nil {
		h.run = run
	}
	return err
}

func (h *hosted) deliver(e deviceactor.Event) {
	h.events = append(h.events, e)
	if t, ok := e.(deviceactor.SessionChanged); ok && t.To == sessionactor.BecameExpired {
		h.causes[t.Session] = t.Cause
	}
}

func (h *hosted) view() deviceactor.View {
	return deviceactor.View{Own: h.identity.Public(), Installation: h.node.installation, MaxInstallations: maxInstallations}
}

func (h *hosted) owner() persistence.OwnerID {
	own := h.identity.Public()
	return persistence.NewOwnerID(own[:], h.node.installation)
}

// schedule is the reference's: a bundle is signed whenever it is shown, and a
// prekey may still be used at the very end of its time.
func (h *hosted) schedule() bundleactor.Schedule {
	s := bundleactor.DefaultSchedule()
	s.Rotate, s.Refresh, s.Publish = time.Duration(min(h.refresh, math.MaxInt64-1))+1, 1, 0
	return s
}

// draw sets the randomness of the step.
func (h *hosted) draw(parts ...[]byte) { h.drawn.Reset(bytes.Join(parts, nil)) }

// step runs one recorded step. first is what the first pass made of it.
func (h *hosted) step(s *step, first, rep *Step) {
	h.published, h.events = nil, nil
	h.draw()
	switch s.Cmd {
	case "init":
		rep.value("ok", s.Expect.OK, "recorded as failed")
	case "restart", "close":
		err := h.open(s.Clock)
		rep.value("ok", s.Expect.OK && err == nil, "recorded ok %t, ours: %v", s.Expect.OK, err)
	case "confirm":
		h.confirm(s, rep)
	case "enable", "disable":
		h.enable(s, rep)
	case "bundle":
		h.bundle(s, first, rep)
	case "process_bundle":
		h.processBundle(s, first, rep)
	case "encrypt", "advertise", "dh", "public":
		h.send(s, first, rep)
	case "decrypt":
		h.decrypt(s, first, rep)
	default:
		rep.outside(NotChecked, s.Cmd, "not a matter of the session and device rules")
	}
	if left := h.drawn.Len(); left > 0 {
		rep.differs(KindValue, "generated_keys", "%d bytes of recorded randomness were not drawn", left)
	}
}

// confirm is the application's word that it has dealt with a message.
func (h *hosted) confirm(s *step, rep *Step) {
	m, received := h.inbox[s.MessageID]
	if !received {
		rep.outside(NotChecked, "message_id", "no such message is in the inbox")
		return
	}
	delete(h.inbox, s.MessageID)
	err := h.run.Ack(context.Background(), m)
	rep.value("ok", s.Expect.OK && err == nil, "recorded ok %t, ours: %v", s.Expect.OK, err)
}

func (h *hosted) enable(s *step, rep *Step) {
	ctx, own := context.Background(), h.identity.Public()
	on := s.Cmd == "enable"
	err := h.run.Enable(ctx, own, s.InstallationID, on, s.Clock)
	if errors.Is(err, deviceactor.ErrUnknownInstallation) && h.lookUp(rep, own, s.InstallationID, s.Clock) {
		err = h.run.Enable(ctx, own, s.InstallationID, on, s.Clock)
	}
	h.capped = h.capped || errors.Is(err, deviceactor.ErrTooManyInstallations)
	if err != nil && s.Expect.OK {
		rep.ruled(KindValue, "ok", err)
		return
	}
	rep.value("ok", s.Expect.OK == (err == nil), "recorded ok %t, ours: %v", s.Expect.OK, err)
}

// constant is randomness for steps whose result nobody keeps.
type constant byte

func (c constant) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}
