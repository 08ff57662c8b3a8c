package segment

import (
	"fmt"

	"github.com/klauspost/reedsolomon"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
)

const (
	// MaxSegments is into how many data segments a whole may be cut.
	MaxSegments = 1024

	// maxCoded is how many segments, parity included, the code can tell apart.
	maxCoded = 256

	// dataPerParity is how many data segments there are for each parity segment.
	dataPerParity = 8
)

// Size is how long segments are in a network that carries messages of up to
// message bytes: three quarters of it, as deployed clients have it.
func Size(message int) int { return message / 4 * 3 }

// Split gives what has to be sent for a whole: itself if it is at most size bytes
// long, else encoded segments with at most size bytes of it each, followed by one
// parity segment for every 8, unless it is more than 256 together.
//
// A whole must not have the form of a segment itself; a ProtocolMessage never
// has. ErrSize for a size below 1, ErrTooLarge for more than MaxSegments.
func Split(whole []byte, size int) ([][]byte, error) {
	switch {
	case size < 1:
		return nil, fmt.Errorf("%w: %d bytes", ErrSize, size)
	case len(whole) <= size:
		return [][]byte{whole}, nil
	case (len(whole)-1)/size >= MaxSegments:
		return nil, fmt.Errorf("%w: %d bytes in segments of %d", ErrTooLarge, len(whole), size)
	}
	hash := curve.Keccak256(whole)
	count := (len(whole) + size - 1) / size
	parity := count / dataPerParity
	if count+parity > maxCoded {
		parity = 0
	}
	shards := make([][]byte, 0, count+parity)
	encoded := make([][]byte, 0, count+parity)
	for start := 0; start < len(whole); start += size {
		part := whole[start:min(start+size, len(whole))]
		s := waku.Segment{Hash: hash, Index: uint32(len(shards)), Count: uint32(count), Payload: part} //nolint:gosec // at most MaxSegments
		encoded = append(encoded, s.Encode())
		shards = append(shards, part)
	}
	if parity == 0 {
		return encoded, nil
	}
	shards[count-1] = padded(shards[count-1], size)
	for range parity {
		shards = append(shards, make([]byte, size))
	}
	code, err := newCode(count, parity)
	if err != nil {
		return nil, err
	}
	if err := code.Encode(shards); err != nil {
		return nil, fmt.Errorf("segment: parity: %w", err)
	}
	for i, shard := range shards[count:] {
		s := waku.Segment{Hash: hash, ParityIndex: uint32(i), ParityCount: uint32(parity), Payload: shard}
		encoded = append(encoded, s.Encode())
	}
	return encoded, nil
}

// newCode is the code of deployed clients. It starts no goroutines.
func newCode(data, parity int) (reedsolomon.Encoder, error) {
	code, err := reedsolomon.New(data, parity, reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("segment: code of %d and %d: %w", data, parity, err)
	}
	return code, nil
}

// padded is the last data segment as the code sees it.
func padded(part []byte, size int) []byte {
	if len(part) == size {
		return part
	}
	shard := make([]byte, size)
	copy(shard, part)
	return shard
}
