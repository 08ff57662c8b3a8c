package replay

import (
	"bytes"
	"context"

	"github.com/rookery-im/rookery/bundleactor"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/wire"
)

// bundle makes our own bundle and compares it with the recorded one.
func (h *hosted) bundle(s *step, first, rep *Step) {
	ours, err := h.ownBundle(s)
	h.compareBundle(&ours, err, s.Expect.Bundle, first, rep)
}

func (h *hosted) compareBundle(ours *wire.Bundle, err error, recorded []byte, first, rep *Step) {
	switch {
	case err == nil && bytes.Equal(wire.EncodeBundle(*ours), recorded):
		rep.equal(KindWire, "bundle")
	case err == nil && rep.like(first, KindWire, "bundle", "message"):
	case err == nil && h.capped:
		rep.explained(KindWire, "bundle", cause{ruleOwnCap, -1, "one of our other installations is not approved"})
	default:
		rep.differs(KindWire, "bundle", "ours is another, %v", err)
	}
}

// ownBundle is our bundle at the time of the step, with the recorded prekey if
// a new one is due.
func (h *hosted) ownBundle(s *step) (wire.Bundle, error) {
	ctx := context.Background()
	scalar, err := newFeed(&s.Expect).key(purposePreKey, "")
	if err != nil {
		return h.run.Bundle(ctx, s.Clock)
	}
	h.draw(scalar)
	state, err := bundleactor.Load(ctx, h.store, h.owner())
	if err != nil {
		return wire.Bundle{}, err
	}
	schedule := h.schedule()
	if current, ok := state.Keys.Current(); ok && s.Clock-current.Created < int64(schedule.Rotate) {
		// The reference lost its prekey before it was due. What is wrong with that
		// shows in the bundle; its peers use the new one from now on.
		schedule.Rotate = 1
		by := bundleactor.Installation{Identity: &h.identity, ID: h.node.installation, Schedule: schedule}
		next, change, err := state.Renew(by, nil, bundleactor.Asked, s.Clock, &h.drawn)
		if err != nil {
			return wire.Bundle{}, err
		}
		records, err := next.Records(h.owner(), change)
		if err != nil {
			return wire.Bundle{}, err
		}
		if err := h.restore(records, s.Clock); err != nil {
			return wire.Bundle{}, err
		}
	}
	return h.run.Bundle(ctx, s.Clock)
}

// restore writes records as the recording has them and starts the installation
// from them.
func (h *hosted) restore(records []persistence.Record, now int64) error {
	if err := h.store.Apply(context.Background(), persistence.Batch{Records: records}); err != nil {
		return err
	}
	return h.open(now)
}
