package replay

import (
	"errors"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
)

func isCurvePoint(k wire.PublicKey) bool { return curve.PublicKey(k).Check() == nil }

// foresee tells what the reference makes of a message on this session. It
// changes nothing.
func (s *session) foresee(f *foreseen, m ratchet.Message, ad []byte, limits ratchet.Limits) {
	ref := ratchet.KeyRef{Ratchet: m.Header.Key, N: m.Header.N}
	if _, kept := s.trace.kept[ref]; kept {
		s.foreseeKept(f, m, ref, ad, limits)
		return
	}
	if refused, turned := s.headerRefusal(m.Header, limits); refused != nil {
		f.turned = turned
		f.refuse(refused...)
		return
	}
	f.turned = m.Header.Key != s.state.Remote
	if _, ours := s.stored[ref]; ours {
		// A key that only we still have: the reference takes the message for one
		// of a new chain.
		f.refuse(refusedMAC)
		return
	}
	s.attempt(f, m, ad, limits, refusedMAC)
}

// foreseeKept is the case of a message whose key the reference holds.
func (s *session) foreseeKept(f *foreseen, m ratchet.Message, ref ratchet.KeyRef, ad []byte, limits ratchet.Limits) {
	before, used := s.trace.delivered[ref]
	switch {
	case !used:
		s.attempt(f, m, ad, limits, refusedMACSkipped)
	case len(m.Ciphertext) < ratchet.Overhead:
		f.refuse(shortCiphertext(len(m.Ciphertext), refusedMACSkipped)...)
	default:
		_, _, plaintext, err := before.state.Decrypt(before.skipped, m, ad, limits)
		if err != nil {
			f.refuse(refusedMACSkipped)
			return
		}
		f.plaintext, f.again = plaintext, true
	}
}

func (s *session) attempt(f *foreseen, m ratchet.Message, ad []byte, limits ratchet.Limits, badMAC refusal) {
	if len(m.Ciphertext) < ratchet.Overhead {
		f.refuse(shortCiphertext(len(m.Ciphertext), badMAC)...)
		return
	}
	result, err := s.open(m, ad, limits)
	switch {
	case err == nil:
		f.result, f.plaintext = result, result.plaintext
	case errors.Is(err, ratchet.ErrMAC), errors.Is(err, ratchet.ErrUnknownRatchetKey):
		f.refuse(badMAC)
	default:
		f.refuse(refusal{kindOther, err.Error()})
	}
}

// headerRefusal is the reference's order of checks before the MAC: the rest of
// the previous chain, the ratchet key, the message's own chain. It gives the
// possible refusals, none if all is well.
func (s *session) headerRefusal(h ratchet.Header, limits ratchet.Limits) (r []refusal, turned bool) {
	have := s.state.Recv.N
	if h.Key != s.state.Remote {
		switch {
		case h.PN < have:
			return []refusal{refusedKeyDeletedPrev}, false
		case h.PN-have > limits.MaxSkip:
			return []refusal{refusedTooManyPrev}, false
		case !isPoint(h.Key):
			return []refusal{refusedRatchetKey, {kindOther, refusedRatchetKey.text}}, false
		}
		have, turned = 0, true
	}
	switch {
	case h.N < have:
		return []refusal{refusedKeyDeleted}, turned
	case h.N-have > limits.MaxSkip:
		return []refusal{refusedTooMany}, turned
	}
	return nil, turned
}
