package load

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rookery-im/rookery"
)

// ErrPayload: sizes of payloads that cannot be.
var ErrPayload = errors.New("load: payload sizes")

// MinPayload is the smallest payload in bytes: what a message says of itself.
const MinPayload = headSize

// Sizes are payload sizes, each as often as its weight says.
type Sizes []Size

// Size is one of them.
type Size struct{ Bytes, Weight int }

// ParseSizes reads "100", or "100:80,1024:15,65536:5" with weights.
func ParseSizes(text string) (Sizes, error) {
	var sizes Sizes
	for part := range strings.SplitSeq(text, ",") {
		size, weight, weighted := strings.Cut(part, ":")
		s := Size{Weight: 1}
		var err error
		if s.Bytes, err = strconv.Atoi(size); err != nil {
			return nil, fmt.Errorf("%w: %q: it looks like 100 or 100:80,1024:20, bytes and their weights", ErrPayload, text)
		}
		if weighted {
			if s.Weight, err = strconv.Atoi(weight); err != nil {
				return nil, fmt.Errorf("%w: %q: it looks like 100 or 100:80,1024:20, bytes and their weights", ErrPayload, text)
			}
		}
		sizes = append(sizes, s)
	}
	return sizes, sizes.Check()
}

// Check refuses sizes that no message can have: ErrPayload.
func (s Sizes) Check() error {
	if len(s) == 0 {
		return fmt.Errorf("%w: none", ErrPayload)
	}
	for _, one := range s {
		switch {
		case one.Bytes < MinPayload || one.Bytes > rookery.MaxPayload:
			return fmt.Errorf("%w: %d bytes, it has to be from %d to %d", ErrPayload, one.Bytes, MinPayload, rookery.MaxPayload)
		case one.Weight < 1 || one.Weight > 1_000_000:
			return fmt.Errorf("%w: weight %d of %d bytes, it has to be from 1 to 1000000", ErrPayload, one.Weight, one.Bytes)
		}
	}
	return nil
}

// pick gives the size for a draw from 0 to 2^64-1.
func (s Sizes) pick(draw uint64) int {
	var total uint64
	for _, one := range s {
		total += uint64(one.Weight) //nolint:gosec // checked
	}
	draw %= total
	for _, one := range s {
		if draw < uint64(one.Weight) { //nolint:gosec // checked
			return one.Bytes
		}
		draw -= uint64(one.Weight) //nolint:gosec // checked
	}
	return s[len(s)-1].Bytes
}

// String gives them as ParseSizes reads them.
func (s Sizes) String() string {
	if len(s) == 1 {
		return strconv.Itoa(s[0].Bytes)
	}
	parts := make([]string, len(s))
	for i, one := range s {
		parts[i] = fmt.Sprintf("%d:%d", one.Bytes, one.Weight)
	}
	return strings.Join(parts, ",")
}

// MarshalJSON implements json.Marshaler.
func (s Sizes) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Sizes) UnmarshalJSON(text []byte) error {
	var written string
	if err := json.Unmarshal(text, &written); err != nil {
		return err
	}
	sizes, err := ParseSizes(written)
	*s = sizes
	return err
}

// kind says what a message is for.
type kind uint8

const (
	greeting kind = iota + 1 // the first of a pair, while a world is made
	greeted                  // the answer to it
	ask
	answer
)

const (
	headMark = "rookery load 1"
	headSize = len(headMark) + 1 + 8 + 4 + 4 + 4 + 8 + 4
)

// head is what a message says of itself.
type head struct {
	kind   kind
	run    uint64 // tells apart what earlier runs have left behind
	sender uint32
	number uint32 // of the message in its stream
	// before: all messages of the stream with a smaller number were durable before
	// this one was sent, and so are not to be delivered after it.
	before uint32
	meant  time.Duration // since the run began: when it was meant to be sent
}

// encode gives a payload of that size.
func (h head) encode(size int) []byte {
	b := make([]byte, 0, size)
	b = append(b, headMark...)
	b = append(b, byte(h.kind))
	b = binary.BigEndian.AppendUint64(b, h.run)
	b = binary.BigEndian.AppendUint32(b, h.sender)
	b = binary.BigEndian.AppendUint32(b, h.number)
	b = binary.BigEndian.AppendUint32(b, h.before)
	b = binary.BigEndian.AppendUint64(b, uint64(h.meant)) //nolint:gosec // all 64 bits
	b = binary.BigEndian.AppendUint32(b, uint32(size))    //nolint:gosec // at most rookery.MaxPayload
	return b[:size]
}

// decodeHead gives false for what no tester has sent.
func decodeHead(payload []byte) (head, bool) {
	if len(payload) < headSize || string(payload[:len(headMark)]) != headMark {
		return head{}, false
	}
	b := payload[len(headMark):]
	h := head{
		kind:   kind(b[0]),
		run:    binary.BigEndian.Uint64(b[1:]),
		sender: binary.BigEndian.Uint32(b[9:]),
		number: binary.BigEndian.Uint32(b[13:]),
		before: binary.BigEndian.Uint32(b[17:]),
		meant:  time.Duration(binary.BigEndian.Uint64(b[21:])), //nolint:gosec // all 64 bits
	}
	return h, int(binary.BigEndian.Uint32(b[29:])) == len(payload)
}
