package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/sessionactor"
)

// scene is a short story with two people that shows, and checks, one thing the
// engine does by itself. It is over in a fraction of a second and has nothing
// to do with the figures of the load.
type scene struct {
	name string
	play func(*stage) error
}

var scenes = []scene{
	{"second device", playSecondDevice},
	{"re-key after 24 hours", func(s *stage) error { return playReKey(s, 24*time.Hour+time.Minute) }},
	{"recovery of a lost device", playRecovery},
}

// showcase plays all scenes.
func showcase(ctx context.Context, w io.Writer) error {
	for _, scene := range scenes {
		_, _ = fmt.Fprintf(w, "%s:\n", scene.name)
		s, err := newStage(ctx, func(name, format string, args ...any) { field(w, name, format, args...) })
		if err != nil {
			return err
		}
		if err := scene.on(s); err != nil {
			return err
		}
	}
	return nil
}

// on plays the scene and takes the stage down. That it does not come out as it
// should is a bad result.
func (c scene) on(s *stage) error {
	if err := errors.Join(c.play(s), s.strike()); err != nil {
		return fmt.Errorf("%w: %s: %w", errBadResult, c.name, err)
	}
	return nil
}

// pairOn makes two identities on one engine who have talked.
func pairOn(s *stage) (alice, bob *rookery.Identity, err error) {
	engine, err := s.open("both")
	if err != nil {
		return nil, nil, err
	}
	if alice, err = engine.CreateIdentity(s.ctx, rookery.NewIdentity{}); err != nil {
		return nil, nil, err
	}
	if bob, err = engine.CreateIdentity(s.ctx, rookery.NewIdentity{}); err != nil {
		return nil, nil, err
	}
	return alice, bob, meet(s, alice, bob)
}

// meet lets two people talk for the first time.
func meet(s *stage, alice, bob *rookery.Identity) error {
	if err := s.introduce(alice, bob); err != nil {
		return err
	}
	if _, err := s.say(alice, "hello bob", bob); err != nil {
		return err
	}
	_, err := s.say(bob, "hello alice", alice)
	return err
}

// playSecondDevice: a second device of ours is heard of, gets nothing before it
// is approved, and everything from then on (5/SECURE-TRANSPORT, Pairing).
func playSecondDevice(s *stage) error {
	alice, first, err := pairOn(s)
	if err != nil {
		return err
	}
	second, err := first.AddInstallation(s.ctx)
	if err != nil {
		return err
	}
	devices := []*rookery.Identity{first, second}
	for _, device := range devices {
		if err := device.Follow(device.PublicKey()); err != nil {
			return err
		}
	}
	for n, device := range devices {
		other := devices[1-n]
		if err := device.PublishContactCode(s.ctx, func(error) {}); err != nil {
			return err
		}
		_, err := await(s, "one device hears of the other", func(e rookery.InstallationDiscovered) bool {
			return e.Identity == other && e.Contact == device.PublicKey() && e.Installation == device.InstallationID() && !e.Enabled
		})
		if err != nil {
			return err
		}
	}
	if _, err := s.say(first, "not for my second device yet", alice); err != nil {
		return err
	}
	s.tell("discovered", "bob's second device; it gets nothing yet")

	for n, device := range devices {
		other := devices[1-n]
		if err := device.Approve(s.ctx, device.PublicKey(), other.InstallationID()); err != nil {
			return fmt.Errorf("approve: %w", err)
		}
		_, err := await(s, "approval is reported", func(e rookery.InstallationEnabled) bool {
			return e.Identity == device && e.Installation == other.InstallationID() && e.Enabled
		})
		if err != nil {
			return err
		}
	}
	fromFirst, err := s.say(first, "I have a second device", alice)
	if err != nil {
		return err
	}
	_, err = await(s, "alice hears of bob's second device", func(e rookery.InstallationDiscovered) bool {
		return e.Identity == alice && e.Contact == first.PublicKey() && e.Installation == second.InstallationID() && e.Enabled
	})
	if err != nil {
		return err
	}
	s.tell("approved", "by bob on both; his next message told alice")

	receipt, err := s.say(alice, "to both of you", first, second)
	if err != nil {
		return err
	}
	s.tell("messages", "alice's next one went to %d installations and arrived at both", len(receipt.Installations))

	fromSecond, err := s.say(second, "this is my second device", alice)
	if err != nil {
		return err
	}
	copies, err := awaitCopies(s, alice.PublicKey(), map[*rookery.Identity]rookery.MessageID{
		second: fromFirst.ID, first: fromSecond.ID,
	})
	if err != nil {
		return err
	}
	s.tell("copies", "%d of 2: each device has what the other one sent, and nothing from before the approval", copies)
	return nil
}

// awaitCopies waits for one copy at each device, and checks that it is the only
// one.
func awaitCopies(s *stage, recipient rookery.PublicKey, at map[*rookery.Identity]rookery.MessageID) (int, error) {
	total := 0
	for device, id := range at {
		_, err := await(s, "copy for our own other device", func(e rookery.SentElsewhere) bool {
			return e.Identity == device && e.ID == id && e.Recipient == recipient
		})
		if err != nil {
			return 0, err
		}
		all, _ := seen(s, func(e rookery.SentElsewhere) bool { return e.Identity == device })
		if len(all) != 1 {
			return 0, fmt.Errorf("installation %s got %d copies, want 1", device.InstallationID(), len(all))
		}
		total += len(all)
	}
	return total, nil
}

// playReKey: after 24 hours everybody has a new signed prekey, and the next
// message to somebody whose new one is known starts a new session
// (5/SECURE-TRANSPORT, Bundle retrieval).
func playReKey(s *stage, later time.Duration) error {
	alice, bob, err := pairOn(s)
	if err != nil {
		return err
	}
	s.pass(later)
	if _, err := s.say(bob, "good morning", alice); err != nil {
		return err
	}
	s.tell("the clock", "passes %v; bob's next message brings his new signed prekey", later)

	receipt, err := s.say(alice, "good morning to you", bob)
	if err != nil {
		return err
	}
	if receipt.Started != 1 {
		return fmt.Errorf("%v later a message started %d new sessions, want 1", later, receipt.Started)
	}
	for _, side := range []struct {
		name string
		at   *rookery.Identity
	}{{"alice re-keys", alice}, {"bob follows", bob}} {
		replaced, err := awaitTransition(s, side.at, sessionactor.Replaced)
		if err != nil {
			return err
		}
		expired, err := awaitTransition(s, side.at, sessionactor.BecameExpired)
		if err != nil {
			return err
		}
		if replaced.Session == expired.Session {
			return fmt.Errorf("%s: the new session %v has expired", side.name, expired.Session)
		}
		s.tell(side.name, "new session (%s); the old one %s and only decrypts", replaced.Cause, expired.Change)
	}
	for _, turn := range []struct{ from, to *rookery.Identity }{{bob, alice}, {alice, bob}} {
		receipt, err := s.say(turn.from, "on the new session", turn.to)
		if err != nil {
			return err
		}
		if receipt.Started != 0 {
			return fmt.Errorf("%d more sessions were started, want none", receipt.Started)
		}
	}
	s.tell("settled", "both go on with the new one; no further session was started")
	return nil
}

func awaitTransition(s *stage, at *rookery.Identity, to sessionactor.Lifecycle) (rookery.SessionChanged, error) {
	return await(s, fmt.Sprintf("session %s", to), func(e rookery.SessionChanged) bool { return e.Identity == at && e.Change == to })
}

// playRecovery: an identity loses its only device with its directory, and comes
// back from its phrase. That is a new installation; what was encrypted for the
// old one nobody reads any more (54/WAKU2-X3DH-SESSIONS, Account recovery).
func playRecovery(s *stage) error {
	hers, err := s.open("alice")
	if err != nil {
		return err
	}
	alice, err := hers.CreateIdentity(s.ctx, rookery.NewIdentity{})
	if err != nil {
		return err
	}
	phrase, err := rookery.NewPhrase()
	if err != nil {
		return err
	}
	lost, err := bobFrom(s, phrase)
	if err != nil {
		return err
	}
	if err := meet(s, alice, lost); err != nil {
		return err
	}
	if err := s.destroy("bob"); err != nil {
		return err
	}
	bob, err := bobFrom(s, phrase)
	if err != nil {
		return err
	}
	if bob.PublicKey() != lost.PublicKey() || bob.InstallationID() == lost.InstallationID() {
		return errors.New("the phrase gave another identity, or the same installation")
	}
	s.tell("lost", "bob's directory, with all keys; he comes back from his phrase as a new installation")

	if _, err := alice.Send(s.ctx, bob.PublicKey(), []byte("are you there?")); err != nil {
		return err
	}
	refused, err := await(s, "what bob cannot read is refused", func(e rookery.Refused) bool { return e.Identity == bob })
	if err != nil {
		return err
	}
	if !errors.Is(refused.Err, cause.ErrNotTargeted) {
		return fmt.Errorf("refused with another cause: %w", refused.Err)
	}
	s.tell("refused", "alice's 1st message: %v", refused.Err)

	_, err = await(s, "alice hears of bob's new installation", func(e rookery.InstallationDiscovered) bool {
		return e.Identity == alice && e.Contact == bob.PublicKey() && e.Installation == bob.InstallationID() && e.Enabled
	})
	if err != nil {
		return err
	}
	s.tell("answered", "with bob's new bundle; alice's engine includes his new installation")

	receipt, err := s.say(alice, "and now?", bob)
	if err != nil {
		return err
	}
	if _, err := s.say(bob, "here I am again", alice); err != nil {
		return err
	}
	if receipt.Started != 1 {
		return fmt.Errorf("the message that reached bob again started %d new sessions, want 1", receipt.Started)
	}
	s.tell("recovered", "alice's 2nd message starts a new session and arrives; so does bob's answer")
	return nil
}

func bobFrom(s *stage, phrase string) (*rookery.Identity, error) {
	his, err := s.open("bob")
	if err != nil {
		return nil, err
	}
	return his.CreateIdentity(s.ctx, rookery.NewIdentity{Phrase: phrase})
}
