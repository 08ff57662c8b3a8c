package ratchet

import (
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
)

// Chain is a symmetric chain: CK of the specification with its message number.
type Chain struct {
	// Key is the chain key from which the message key of N is derived, or, if
	// Primed, the one of N+1.
	Key secret.Key
	// N is the number of the next message.
	N uint32
	// Primed chains hold the message key of N ready in Head. The initiator's
	// first receiving chain starts as SK itself; kept in this form, SK cannot
	// be computed from what is stored.
	Primed bool
	Head   secret.Key
}

// step sets mk to the message key of N and moves to N+1.
func (c *Chain) step(mk *secret.Key) {
	if c.Primed {
		*mk, c.Primed = c.Head, false
		c.Head.Wipe()
	} else {
		chainStep(&c.Key, mk, &c.Key)
	}
	c.N++
}

// prime replaces the chain key by its first message key and the key after it.
func (c *Chain) prime() {
	chainStep(&c.Key, &c.Head, &c.Key)
	c.Primed = true
}

// State is the Double Ratchet state of one session at one moment. It is a
// plain value; the zero value is not a valid state. Fields are exported for
// storing and restoring a session, not for changing.
type State struct {
	Suite Suite
	// Root is RK.
	Root secret.Key
	// Send is CKs and Ns. Meaningless while SendPending.
	Send Chain
	// Recv is CKr and Nr.
	Recv Chain
	// Self is DHs. Empty while SendPending: the old pair is gone, the new one is
	// made with the next message sent.
	Self KeyPair
	// Remote is DHr; zero for a responder that has received nothing yet.
	Remote PublicKey
	// SendPending says that a ratchet key was received and not answered yet.
	SendPending bool
	// PN is the length of the previous sending chain.
	PN uint32
	// KeysMade counts the message keys made on the receiving side; it orders
	// the skipped ones.
	KeysMade uint64

	// RemotePoint is Remote taken apart, that of another key, or nil: what the
	// receiving half of a DH ratchet step has computed and the sending half needs
	// again. It is never changed, and all copies of the state share it. It is not
	// stored, and must not be: a point is checked only where PublicKey.Point makes it.
	RemotePoint *curve.Point
}

// NewInitiator starts a session as the side that sends first, with SK and the
// responder's first ratchet key (in Secp256k1 its signed prekey). It draws the
// first sending ratchet pair from rand.
func NewInitiator(suite Suite, sk secret.Key, remote PublicKey, rand io.Reader) (State, error) {
	defer sk.Wipe()
	pair, err := suite.GenerateKeyPair(rand)
	if err != nil {
		return State{}, err
	}
	defer pair.Wipe()
	var point curve.Point
	shared, err := suite.dh(&pair, remote, &point)
	if err != nil {
		return State{}, err
	}
	s := State{Suite: suite, Self: pair, Remote: remote, Recv: Chain{Key: sk}}
	s.Recv.prime()
	s.Root, s.Send.Key = rootStep(&sk, &shared)
	shared.Wipe()
	return s, nil
}

// NewResponder starts a session as the side that receives first, with SK and
// the ratchet pair the initiator took (in Secp256k1 the signed prekey).
//
// Until its first Decrypt the state holds SK itself, as root and in both
// chains: it must not be stored before, and the engine never does. Encrypting
// with it before is possible, since deployed responders may do so and
// recordings have to be reproduced, but gives no protection beyond SK.
func NewResponder(suite Suite, sk secret.Key, first KeyPair) (State, error) {
	if suite != Secp256k1 && suite != Curve25519 {
		return State{}, ErrSuite
	}
	return State{
		Suite: suite,
		Root:  sk,
		Send:  Chain{Key: sk},
		Recv:  Chain{Key: sk},
		Self:  first,
	}, nil
}

// Check tells whether a restored state can have been made by this package.
func (s *State) Check() error {
	switch {
	case s.Suite != Secp256k1 && s.Suite != Curve25519:
		return fmt.Errorf("%w: %w", ErrState, ErrSuite)
	case s.Root.IsZero() || s.Recv.Key.IsZero():
		return fmt.Errorf("%w: a key is missing", ErrState)
	case !s.SendPending && (s.Self.Private.IsZero() || s.Self.Public.IsZero() || s.Send.Key.IsZero()):
		return fmt.Errorf("%w: sending chain is missing", ErrState)
	case s.SendPending && s.Remote.IsZero():
		return fmt.Errorf("%w: remote ratchet key is missing", ErrState)
	case s.Recv.Primed && s.Recv.Head.IsZero():
		return fmt.Errorf("%w: first message key is missing", ErrState)
	}
	return nil
}

// Wipe overwrites every key of the state.
func (s *State) Wipe() {
	s.Root.Wipe()
	s.Send.Key.Wipe()
	s.Send.Head.Wipe()
	s.Recv.Key.Wipe()
	s.Recv.Head.Wipe()
	s.Self.Wipe()
}
