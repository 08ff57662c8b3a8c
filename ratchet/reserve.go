package ratchet

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rookery-im/rookery/internal/aesctr"
	"github.com/rookery-im/rookery/internal/secret"
)

// ErrBlockExhausted: every number of a block was used, or the block was wiped.
var ErrBlockExhausted = errors.New("ratchet: block exhausted")

// Block is a run of message numbers of one sending chain that a State has moved
// past: whoever holds it encrypts with them one after the other, while the State
// no longer can. It lives in memory only. What is not used of it was skipped, as
// if the messages had been lost. The zero value is exhausted.
//
// A copy of a Block would use the same message keys again, so it goes by pointer.
// For one goroutine at a time.
type Block struct {
	header Header // of the next message
	left   uint32
	keys   []secret.Key // all message keys, the used ones wiped
}

// Reserve gives the state after sending the next k messages, and the block that
// sends them. If a ratchet key is to be answered the new pair is made now (rand
// is read for it, 32 bytes), so that it is durable before its first ciphertext.
// Of a chain that is nearly over the block is shorter; ErrChainExhausted when
// nothing is left, or for k = 0.
//
// The block must not be used before the new state is durable.
func (s *State) Reserve(k uint32, rand io.Reader) (State, *Block, error) {
	next := *s
	if err := next.answer(rand); err != nil {
		return State{}, nil, err
	}
	if k == 0 || next.Send.N > maxIndex {
		return State{}, nil, ErrChainExhausted
	}
	k = min(k, maxIndex-next.Send.N+1)
	keys := make([]secret.Key, k)
	b := &Block{header: Header{Key: next.Self.Public, N: next.Send.N, PN: next.PN}, left: k, keys: keys}
	for i := range keys {
		next.Send.step(&keys[i])
	}
	return next, b, nil
}

// Left is how many messages the block has left.
func (b *Block) Left() uint32 { return b.left }

// Header is the header of the next message; meaningless when none is left.
func (b *Block) Header() Header { return b.header }

// Encrypt makes the next message of the block; ad, ivs and rand as in
// State.Encrypt. ErrBlockExhausted after the last one. On any other error the
// number is spent.
func (b *Block) Encrypt(plaintext, ad []byte, ivs IVSource, rand io.Reader) (Message, error) {
	h := b.header
	ciphertext, err := b.AppendEncrypt(nil, plaintext, ad, ivs, rand)
	if err != nil {
		return Message{}, err
	}
	return Message{Header: h, Ciphertext: ciphertext}, nil
}

// AppendEncrypt is Encrypt with the ciphertext appended to dst: it allocates no
// buffer if dst has room for len(plaintext)+Overhead more bytes. It panics if
// plaintext or ad lie in that room. The header of the message is what Header gave
// before.
func (b *Block) AppendEncrypt(dst, plaintext, ad []byte, ivs IVSource, rand io.Reader) ([]byte, error) {
	if b.left == 0 {
		return nil, ErrBlockExhausted
	}
	dst = slices.Grow(dst, len(plaintext)+Overhead)
	if room := dst[len(dst) : len(dst)+len(plaintext)+Overhead]; aesctr.Overlap(room, plaintext) || aesctr.Overlap(room, ad) {
		panic("ratchet: what is encrypted lies where the ciphertext goes")
	}
	var header [associatedDataSize]byte
	encoded := b.header.appendTo(header[:0])
	mk := &b.keys[len(b.keys)-int(b.left)]
	defer mk.Wipe()
	b.header.N++
	b.left--
	return appendSealed(dst, mk, plaintext, ad, encoded, ivs, rand)
}

// Wipe overwrites the message keys; the block is exhausted.
func (b *Block) Wipe() {
	clear(b.keys)
	b.keys, b.left = nil, 0
}

// Format implements fmt.Formatter: the keys lie in an unexported field, where they
// could not redact themselves.
func (b Block) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "block of %d message numbers", b.left)
}
