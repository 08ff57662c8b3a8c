package core

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/crypto/ecies"
	"golang.org/x/crypto/hkdf"
)

// What the benchmarks call the reference is the ratchet in the way deployed
// clients run it: keys are slices, each hash is an object, curve work goes
// through go-ethereum's wrappers, which compute the public key of a private key
// and decompress the other side's on every agreement, and the pair that
// answers a ratchet key is made while receiving it. Its state is in memory; what
// a deployed client's database costs is left out.

const (
	deployedMaxSkip     = 1000
	deployedRootInfo    = "rsZUpEuXUqqwXBvSy3EcievAh4cMj6QL"
	deployedMessageInfo = "pcwSByyx2CRdryCffXJwy7xgVZWtW5Sh"
)

var (
	errDeployedMAC     = errors.New("reference: message authentication failed")
	errDeployedGone    = errors.New("reference: message number was used")
	errDeployedTooMany = errors.New("reference: too many skipped messages")
)

// deployedPair is a ratchet key pair as it is kept: a scalar and a compressed
// point.
type deployedPair struct{ private, public []byte }

func newDeployedPair() (deployedPair, error) {
	key, err := crypto.GenerateKey()
	if err != nil {
		return deployedPair{}, err
	}
	return deployedPair{private: crypto.FromECDSA(key), public: crypto.CompressPubkey(&key.PublicKey)}, nil
}

func (p deployedPair) dh(public []byte) ([]byte, error) {
	key, err := crypto.ToECDSA(p.private)
	if err != nil {
		return nil, err
	}
	point, err := crypto.DecompressPubkey(public)
	if err != nil {
		return nil, err
	}
	return ecies.ImportECDSA(key).GenerateShared(ecies.ImportECDSAPublic(point), 16, 16)
}

type deployedChain struct {
	key []byte
	n   uint32
}

// step is KDF_CK.
func (c *deployedChain) step() (message []byte) {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte{0x0f})
	next := mac.Sum(nil)
	mac.Reset()
	mac.Write([]byte{0x10})
	message = mac.Sum(nil)
	c.key = next
	c.n++
	return message
}

// deployedRootStep is KDF_RK; the third part of its output is a header key that
// has no use.
func deployedRootStep(root, shared []byte) (next, chain []byte, err error) {
	out := make([]byte, 96)
	if _, err := io.ReadFull(hkdf.New(sha256.New, shared, root, []byte(deployedRootInfo)), out); err != nil {
		return nil, nil, err
	}
	return out[:32:32], out[32:64:64], nil
}

func deployedMessageKeys(message []byte) (enc, auth, iv []byte, err error) {
	out := make([]byte, 80)
	salt := make([]byte, sha256.Size)
	if _, err := io.ReadFull(hkdf.New(sha256.New, message, salt, []byte(deployedMessageInfo)), out); err != nil {
		return nil, nil, nil, err
	}
	return out[:32:32], out[32:64:64], out[64:], nil
}

func deployedMAC(key, ad, ciphertext []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(ad)
	mac.Write(ciphertext)
	return mac.Sum(nil)
}

func deployedSeal(message, plaintext, ad []byte) ([]byte, error) {
	enc, auth, iv, err := deployedMessageKeys(message)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	ciphertext := make([]byte, aes.BlockSize+len(plaintext))
	copy(ciphertext, iv)
	cipher.NewCTR(block, iv).XORKeyStream(ciphertext[aes.BlockSize:], plaintext)
	return append(ciphertext, deployedMAC(auth, ad, ciphertext)...), nil
}

func deployedOpen(message, sealed, ad []byte) ([]byte, error) {
	if len(sealed) < aes.BlockSize+sha256.Size {
		return nil, errDeployedMAC
	}
	enc, auth, _, err := deployedMessageKeys(message)
	if err != nil {
		return nil, err
	}
	ciphertext, mac := sealed[:len(sealed)-sha256.Size], sealed[len(sealed)-sha256.Size:]
	if !hmac.Equal(deployedMAC(auth, ad, ciphertext), mac) {
		return nil, errDeployedMAC
	}
	block, err := aes.NewCipher(enc)
	if err != nil {
		return nil, err
	}
	plaintext := make([]byte, len(ciphertext)-aes.BlockSize)
	cipher.NewCTR(block, ciphertext[:aes.BlockSize]).XORKeyStream(plaintext, ciphertext[aes.BlockSize:])
	return plaintext, nil
}

// deployedMessage is a header with its ciphertext.
type deployedMessage struct {
	key        []byte
	n, pn      uint32
	ciphertext []byte
}

// header is what the MAC covers before the ciphertext.
func (m *deployedMessage) header() []byte {
	b := make([]byte, 8, 8+len(m.key))
	binary.LittleEndian.PutUint32(b, m.n)
	binary.LittleEndian.PutUint32(b[4:], m.pn)
	return append(b, m.key...)
}

// deployedState is one side of a session.
type deployedState struct {
	root               []byte
	sending, receiving deployedChain
	self               deployedPair
	remote             []byte
	pn                 uint32
}

// deployedSession is a state with the keys of messages that were skipped, by
// ratchet key and number.
type deployedSession struct {
	deployedState
	skipped map[string]map[uint32][]byte
}

// deployedSkip is a key that joins the skipped ones when its message is good.
type deployedSkip struct {
	remote  []byte
	n       uint32
	message []byte
}

func newDeployedInitiator(sk, remote []byte) (*deployedSession, error) {
	self, err := newDeployedPair()
	if err != nil {
		return nil, err
	}
	shared, err := self.dh(remote)
	if err != nil {
		return nil, err
	}
	root, chain, err := deployedRootStep(sk, shared)
	if err != nil {
		return nil, err
	}
	return &deployedSession{deployedState: deployedState{
		root: root, sending: deployedChain{key: chain}, receiving: deployedChain{key: sk}, self: self, remote: remote,
	}}, nil
}

func newDeployedResponder(sk []byte, first deployedPair) *deployedSession {
	return &deployedSession{deployedState: deployedState{
		root: sk, sending: deployedChain{key: sk}, receiving: deployedChain{key: sk}, self: first,
	}}
}

func (s *deployedSession) send(plaintext []byte) (deployedMessage, error) {
	m := deployedMessage{key: s.self.public, n: s.sending.n, pn: s.pn}
	message := s.sending.step()
	var err error
	m.ciphertext, err = deployedSeal(message, plaintext, m.header())
	return m, err
}

// receive works on a copy, which replaces the state when the message is good.
func (s *deployedSession) receive(m deployedMessage) ([]byte, error) {
	if message, ok := s.skipped[string(m.key)][m.n]; ok {
		plaintext, err := deployedOpen(message, m.ciphertext, m.header())
		if err == nil {
			delete(s.skipped[string(m.key)], m.n)
		}
		return plaintext, err
	}
	next := s.deployedState
	var skipped []deployedSkip
	var err error
	if !bytes.Equal(m.key, next.remote) {
		if skipped, err = next.skip(skipped, m.pn); err != nil {
			return nil, err
		}
		if err := next.turn(m.key); err != nil {
			return nil, err
		}
	}
	if skipped, err = next.skip(skipped, m.n); err != nil {
		return nil, err
	}
	plaintext, err := deployedOpen(next.receiving.step(), m.ciphertext, m.header())
	if err != nil {
		return nil, err
	}
	s.deployedState = next
	s.keep(skipped)
	return plaintext, nil
}

func (s *deployedSession) keep(skipped []deployedSkip) {
	for _, k := range skipped {
		if s.skipped == nil {
			s.skipped = map[string]map[uint32][]byte{}
		}
		of := s.skipped[string(k.remote)]
		if of == nil {
			of = map[uint32][]byte{}
			s.skipped[string(k.remote)] = of
		}
		of[k.n] = k.message
	}
}

func (s *deployedState) skip(skipped []deployedSkip, until uint32) ([]deployedSkip, error) {
	switch {
	case until < s.receiving.n:
		return nil, errDeployedGone
	case until-s.receiving.n > deployedMaxSkip:
		return nil, errDeployedTooMany
	}
	for s.receiving.n < until {
		k := deployedSkip{remote: s.remote, n: s.receiving.n}
		k.message = s.receiving.step()
		skipped = append(skipped, k)
	}
	return skipped, nil
}

// turn is a whole DH ratchet step: both agreements and the pair between them.
func (s *deployedState) turn(remote []byte) error {
	shared, err := s.self.dh(remote)
	if err != nil {
		return err
	}
	s.pn, s.remote = s.sending.n, remote
	root, chain, err := deployedRootStep(s.root, shared)
	if err != nil {
		return err
	}
	s.receiving = deployedChain{key: chain}
	if s.self, err = newDeployedPair(); err != nil {
		return err
	}
	if shared, err = s.self.dh(remote); err != nil {
		return err
	}
	if s.root, chain, err = deployedRootStep(root, shared); err != nil {
		return err
	}
	s.sending = deployedChain{key: chain}
	return nil
}
