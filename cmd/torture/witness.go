package main

// witness has the judge hear what a process tells of messages, whatever carries
// them.
func (w *world) witness(f frame) {
	switch f.Kind {
	case isReady:
		w.meet(f.Side, f.Payload, f.Text)
	case isMeant:
		w.judge.meant(f.Side, f.Payload)
	case isSent:
		w.judge.sent(f.Side, f.ID, f.Payload)
		w.tally.change(func(t *tally) { t.messages++ })
	case isFailed:
		w.judge.blame(failure, "%v cannot send %s: %s", f.Side, label(f.Payload), f.Text)
	case isTold:
		w.told(f)
	case isAcking:
		w.judge.acking(f.Side, f.ID)
	case isSettled:
		w.judge.settle(f.Side, f.ID)
	case isLater:
		w.tally.change(func(t *tally) { t.later[f.Text]++ })
	case isRefused:
		w.tally.change(func(t *tally) { t.refused[f.Text]++ })
	case isAlarm:
		w.judge.blame(failure, "%v: alarm: %s", f.Side, f.Text)
	case isSession:
		w.tally.change(func(t *tally) { t.sessions[f.Text]++ })
	case isRolledBack:
		w.judge.blame(failure, "the store of %v takes itself for an older copy", f.Side)
	case isBroken:
		w.judge.blame(failure, "the child: %s", f.Text)
	default:
		w.judge.blame(failure, "the child tells %q", f.Kind)
	}
}

func (w *world) told(f frame) {
	before := w.judge.ids[f.ID]
	again := before != nil && before.told
	w.judge.told(f.Side, f.ID, f.Payload, string(f.Peer) == w.identities[f.Side.other()].key)
	w.tally.change(func(t *tally) {
		t.told++
		if again {
			t.again++
		}
	})
}
