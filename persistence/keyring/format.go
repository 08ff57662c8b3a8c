package keyring

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
)

const (
	magic  = "rkeyring"
	format = 1

	headerBytes = 36
	nonceBytes  = chacha20poly1305.NonceSizeX
	epochBytes  = 4 + 8 + secret.KeySize
	fixedBytes  = 16 + secret.KeySize + 1
)

// The kinds of protectors.
const (
	kindPassphrase = 1
	kindKeyFile    = 2
)

// What Argon2id may cost at least, or it protects too little, and at most, or a
// keyring that someone else has made ties up the process.
const (
	minMemory = 64 << 10 // KiB
	maxMemory = 1 << 20  // KiB
	maxPasses = 16
	maxLanes  = 16
)

// header is what stands in the clear.
type header struct {
	kind   byte
	lanes  uint8
	memory uint32 // KiB
	passes uint32
	salt   [16]byte
}

func (h *header) drawSalt(random io.Reader) error { return randomness(random, h.salt[:]) }

func drawNonce(random io.Reader) (nonce [nonceBytes]byte, err error) {
	err = randomness(random, nonce[:])
	return nonce, err
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerBytes)
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, format)
	b = append(b, h.kind, h.lanes)
	b = binary.BigEndian.AppendUint32(b, h.memory)
	b = binary.BigEndian.AppendUint32(b, h.passes)
	return append(b, h.salt[:]...)
}

// decodeHeader reads the header of a cell's value and checks what is asked of
// Argon2id before anybody does it. persistence.ErrCorrupt,
// persistence.ErrNewerFormat.
func decodeHeader(value []byte) (header, error) {
	var h header
	if len(value) < len(magic)+2 || string(value[:len(magic)]) != magic {
		return h, fmt.Errorf("%w: not a keyring", persistence.ErrCorrupt)
	}
	switch has := binary.BigEndian.Uint16(value[8:]); {
	case has > format:
		return h, fmt.Errorf("%w: keyring format %d, this one knows up to %d", persistence.ErrNewerFormat, has, format)
	case has < format:
		return h, fmt.Errorf("%w: keyring format %d", persistence.ErrCorrupt, has)
	}
	if len(value) < headerBytes+nonceBytes+chacha20poly1305.Overhead {
		return h, fmt.Errorf("%w: keyring of %d bytes", persistence.ErrCorrupt, len(value))
	}
	h.kind, h.lanes = value[10], value[11]
	h.memory = binary.BigEndian.Uint32(value[12:])
	h.passes = binary.BigEndian.Uint32(value[16:])
	copy(h.salt[:], value[20:])
	switch h.kind {
	case kindPassphrase:
		if h.memory < minMemory || h.memory > maxMemory || h.passes < 1 || h.passes > maxPasses || h.lanes < 1 || h.lanes > maxLanes {
			return h, fmt.Errorf("%w: Argon2id with %d KiB, %d passes and %d lanes is out of bounds",
				persistence.ErrCorrupt, h.memory, h.passes, h.lanes)
		}
	case kindKeyFile:
		if h.memory != 0 || h.passes != 0 || h.lanes != 0 {
			return h, fmt.Errorf("%w: keyring has a key file and a passphrase", persistence.ErrCorrupt)
		}
	default:
		return h, fmt.Errorf("%w: keyring of kind %d", persistence.ErrCorrupt, h.kind)
	}
	return h, nil
}

// seal gives the value of the cell.
func seal(h *header, key *secret.Key, nonce [nonceBytes]byte, c *content) ([]byte, error) {
	aead, err := chacha20poly1305.NewX(key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("seal keyring: %w", err)
	}
	clearText := c.encode()
	defer clear(clearText)
	value := append(h.encode(), nonce[:]...)
	return aead.Seal(value, nonce[:], clearText, value[:headerBytes]), nil
}

// unseal opens the value that h is the header of. ErrWrongKey,
// persistence.ErrCorrupt.
func unseal(value []byte, key *secret.Key) (*content, error) {
	aead, err := chacha20poly1305.NewX(key.Bytes())
	if err != nil {
		return nil, fmt.Errorf("open keyring: %w", err)
	}
	nonce, sealed := value[headerBytes:headerBytes+nonceBytes], value[headerBytes+nonceBytes:]
	clearText, err := aead.Open(nil, nonce, sealed, value[:headerBytes])
	if err != nil {
		return nil, ErrWrongKey
	}
	defer clear(clearText)
	return decodeContent(clearText)
}

// content is what is sealed. It holds its keys by pointers, which fmt does not
// follow inside another value.
type content struct {
	store  [16]byte
	anchor *secret.Key
	epochs []*epoch // oldest first, never empty
}

func (c *content) current() Epoch { return c.epochs[len(c.epochs)-1].Epoch }

// wipe leaves nothing of a content that nobody uses any more.
func (c *content) wipe() {
	if c.anchor != nil {
		c.anchor.Wipe()
	}
	for _, e := range c.epochs {
		e.key.Wipe()
	}
}

func (c *content) encode() []byte {
	b := make([]byte, 0, fixedBytes+len(c.epochs)*epochBytes)
	b = append(b, c.store[:]...)
	b = append(b, c.anchor.Bytes()...)
	b = append(b, byte(len(c.epochs))) //nolint:gosec // at most MaxEpochs
	for _, e := range c.epochs {
		b = binary.BigEndian.AppendUint32(b, e.ID)
		b = binary.BigEndian.AppendUint64(b, uint64(e.Created.UnixNano()))
		b = append(b, e.key.Bytes()...)
	}
	return b
}

// decodeContent reads what encode wrote, and nothing else.
func decodeContent(b []byte) (*content, error) {
	if len(b) < fixedBytes {
		return nil, fmt.Errorf("%w: keyring content of %d bytes", persistence.ErrCorrupt, len(b))
	}
	c := &content{store: [16]byte(b), anchor: keyAt(b[16:])}
	count, rest := int(b[fixedBytes-1]), b[fixedBytes:]
	if count < 1 || count > MaxEpochs || len(rest) != count*epochBytes {
		return nil, fmt.Errorf("%w: keyring has %d epochs in %d bytes", persistence.ErrCorrupt, count, len(rest))
	}
	var before uint32
	for ; len(rest) > 0; rest = rest[epochBytes:] {
		id := binary.BigEndian.Uint32(rest)
		if id <= before {
			return nil, fmt.Errorf("%w: keyring has epoch %d after %d", persistence.ErrCorrupt, id, before)
		}
		before = id
		created := time.Unix(0, int64(binary.BigEndian.Uint64(rest[4:]))).UTC() //nolint:gosec // as it was
		made, err := newEpoch(Epoch{ID: id, Created: created}, keyAt(rest[12:]))
		if err != nil {
			return nil, err
		}
		c.epochs = append(c.epochs, made)
	}
	return c, nil
}

func keyAt(b []byte) *secret.Key {
	key := secret.KeyOf([secret.KeySize]byte(b))
	return &key
}
