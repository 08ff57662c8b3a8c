package replay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/x3dh"
)

// lock is what an envelope is sealed with: a symmetric key, or an identity.
type lock struct {
	key *secret.Key
	own *x3dh.IdentityKey
}

func (l *lock) open(wire []byte) (envelope.Opened, error) {
	if l.key != nil {
		return envelope.OpenSymmetric(l.key, wire)
	}
	return envelope.OpenWith(l.own, wire)
}

func (l *lock) seal(rand io.Reader, signer *x3dh.IdentityKey, data []byte) ([]byte, error) {
	if l.key != nil {
		return envelope.SealSymmetric(rand, l.key, signer, data)
	}
	return envelope.SealFor(rand, l.own.Public(), signer, data)
}

var errInside = errors.New("replay: envelope does not decrypt")

// Sizes in envelopes, in bytes.
const (
	envelopePad   = 256
	envelopePoint = 65
	envelopeMAC   = 32
)

// inside decrypts an envelope with the means of the standard library and the
// curve alone, so that what package envelope makes can be looked into.
func (l *lock) inside(wire []byte) ([]byte, error) {
	if l.key != nil {
		block, err := aes.NewCipher(l.key.Bytes())
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		if len(wire) < nonceSize {
			return nil, errInside
		}
		split := len(wire) - nonceSize
		return aead.Open(nil, wire[split:], wire[:split], nil)
	}
	if len(wire) < envelopePoint+aes.BlockSize+envelopeMAC {
		return nil, errInside
	}
	private, err := curve.NewPrivateKey(l.own.Scalar())
	if err != nil {
		return nil, err
	}
	point, err := curve.ParseUncompressed(wire[:envelopePoint])
	if err != nil {
		return nil, err
	}
	z, err := private.DH(point)
	if err != nil {
		return nil, err
	}
	both := sha256.Sum256(append([]byte{0, 0, 0, 1}, z.Bytes()...))
	macKey := sha256.Sum256(both[16:])
	split := len(wire) - envelopeMAC
	body := wire[envelopePoint:split]
	mac := hmac.New(sha256.New, macKey[:])
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), wire[split:]) {
		return nil, errInside
	}
	block, err := aes.NewCipher(both[:16])
	if err != nil {
		return nil, err
	}
	inner := make([]byte, len(body)-aes.BlockSize)
	cipher.NewCTR(block, body[:aes.BlockSize]).XORKeyStream(inner, body[aes.BlockSize:])
	return inner, nil
}

// inside is what stands in an envelope.
type inside struct {
	flags                    byte
	data, padding, signature []byte
}

// splitInside takes the inside of an envelope apart; false if lengths in it
// reach beyond its end.
func splitInside(b []byte) (in inside, whole bool) {
	if len(b) == 0 {
		return in, false
	}
	in.flags = b[0]
	size, length := int(b[0]&3), 0
	rest := b[1:]
	if b[0]&4 != 0 {
		if len(rest) < curve.SignatureSize {
			return in, false
		}
		in.signature, rest = rest[len(rest)-curve.SignatureSize:], rest[:len(rest)-curve.SignatureSize]
	}
	if len(rest) < size {
		return in, false
	}
	for i := range size {
		length |= int(rest[i]) << (8 * i)
	}
	if rest = rest[size:]; length > len(rest) {
		return in, false
	}
	in.data, in.padding = rest[:length], rest[length:]
	return in, true
}

// ours tells whether our encoder can make this inside: signed, the shortest
// length field, and the least padding up to a multiple of 256 bytes that is at
// least 1 byte and not all zeros.
func (in *inside) ours(total int) bool {
	size := byte(1)
	for n := len(in.data); n > 0xff; n >>= 8 {
		size++
	}
	return in.flags == 4|size && total%envelopePad == 0 && len(in.padding) >= 1 && len(in.padding) <= envelopePad &&
		slices.ContainsFunc(in.padding, func(b byte) bool { return b != 0 })
}

// steady is randomness for envelopes that nothing recorded is compared with.
type steady struct{}

// Read implements io.Reader.
func (steady) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 0x11
	}
	return len(b), nil
}

// reseal makes the envelope of a recorded one's data anew. It has to open to
// the same; and where the recording tells what was drawn, it has the recorded
// bytes: all of them under a symmetric key, for an identity those inside, since
// the ephemeral key is not recorded. signer is nil if its key is not recorded.
func (s *Step) reseal(l *lock, signer *x3dh.IdentityKey, data, wire []byte) {
	inner, err := l.inside(wire)
	in, whole := splitInside(inner)
	if err != nil || !whole {
		s.differs(KindWire, "wire", "cannot be looked into: %v", err)
		return
	}
	switch {
	case signer == nil && in.signature == nil:
		s.outside(NotChecked, "wire", "an unsigned envelope, which we make none of")
	case signer == nil:
		s.outside(NotChecked, "wire", "the key of the signer is not recorded")
	case !in.ours(len(inner)):
		s.outside(NotChecked, "wire", "lengths, flags or padding that we never make")
	default:
		drawn := bytes.NewReader(append(slices.Clone(in.padding), wire[max(0, len(wire)-nonceSize):]...))
		if l.key == nil {
			drawn = bytes.NewReader(append(slices.Clone(in.padding), bytes.Repeat([]byte{0x11}, privateKeySize+aes.BlockSize)...))
		}
		made, err := l.seal(drawn, signer, data)
		what, want := "wire", wire
		if l.key == nil && err == nil {
			what, want = "inside of the wire", inner
			made, err = l.inside(made)
		}
		if err == nil && bytes.Equal(made, want) {
			s.equal(KindWire, what)
		} else {
			s.differs(KindWire, what, "ours has %d other bytes, recorded are %d (%v)", len(made), len(want), err)
		}
	}
	s.roundTrip(l, signer, data)
}

// roundTrip seals data and opens it again.
func (s *Step) roundTrip(l *lock, signer *x3dh.IdentityKey, data []byte) {
	if signer == nil {
		someone, err := x3dh.NewIdentity(bytes.Repeat([]byte{0x22}, privateKeySize))
		if err != nil {
			s.differs(KindValue, "round trip", "identity: %v", err)
			return
		}
		signer = &someone
	}
	made, err := l.seal(steady{}, signer, data)
	if err != nil {
		s.differs(KindValue, "round trip", "not sealed: %v", err)
		return
	}
	opened, err := l.open(made)
	s.value("round trip", err == nil && bytes.Equal(opened.Data, data) && opened.Signer == signer.Public(),
		"our own envelope opens to %d bytes of %s (%v)", len(opened.Data), opened.Signer, err)
}
