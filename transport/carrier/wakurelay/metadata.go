package wakurelay

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multistream"
	"google.golang.org/protobuf/encoding/protowire"
)

// metadataProtocol is where peers tell each other which network they are of. Deployed
// peers ask at once, and leave those that do not answer.
const metadataProtocol protocol.ID = "/vac/waku/metadata/1.0.0"

var (
	errMetadata       = errors.New("wakurelay: metadata make no sense")
	errForeignCluster = errors.New("wakurelay: peer of another cluster")
)

// metadata is the request and the answer, which are the same message: {1 cluster,
// 2 shards as older peers have them, one field each, 3 shards}.
type metadata struct {
	cluster    uint32
	hasCluster bool
	shards     []uint32
}

const (
	fieldCluster   protowire.Number = 1
	fieldOldShards protowire.Number = 2
	fieldShards    protowire.Number = 3

	mostMetadata       = 8 << 10 // bytes
	mostMetadataShards = 1024
)

func (m *metadata) encode() []byte {
	var b []byte
	if m.hasCluster {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldCluster, protowire.VarintType), uint64(m.cluster))
	}
	var packed []byte
	for _, shard := range m.shards {
		b = protowire.AppendVarint(protowire.AppendTag(b, fieldOldShards, protowire.VarintType), uint64(shard))
		packed = protowire.AppendVarint(packed, uint64(shard))
	}
	if len(packed) > 0 {
		b = protowire.AppendBytes(protowire.AppendTag(b, fieldShards, protowire.BytesType), packed)
	}
	return b
}

// decodeMetadata takes shards packed or not in either field: deployed peers differ.
// Those of field 3 count if there are any.
func decodeMetadata(b []byte) (m metadata, err error) {
	var old []uint32
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return metadata{}, errMetadata
		}
		size := protowire.ConsumeFieldValue(field, kind, b[n:])
		if size < 0 {
			return metadata{}, errMetadata
		}
		value := b[n : n+size]
		b = b[n+size:]
		switch field {
		case fieldCluster:
			var numbers []uint32
			if numbers, err = appendNumbers(nil, kind, value); err != nil || len(numbers) != 1 {
				return metadata{}, errMetadata
			}
			m.cluster, m.hasCluster = numbers[0], true
		case fieldOldShards:
			old, err = appendNumbers(old, kind, value)
		case fieldShards:
			m.shards, err = appendNumbers(m.shards, kind, value)
		}
		if err != nil || len(old) > mostMetadataShards || len(m.shards) > mostMetadataShards {
			return metadata{}, errMetadata
		}
	}
	if len(m.shards) == 0 {
		m.shards = old
	}
	return m, nil
}

func appendNumbers(numbers []uint32, kind protowire.Type, value []byte) ([]uint32, error) {
	switch kind {
	case protowire.VarintType:
	case protowire.BytesType:
		value, _ = protowire.ConsumeBytes(value) // consumed before
	default:
		return nil, errMetadata
	}
	for len(value) > 0 {
		number, n := protowire.ConsumeVarint(value)
		if n < 0 || number > math.MaxUint32 {
			return nil, errMetadata
		}
		numbers = append(numbers, uint32(number))
		value = value[n:]
	}
	return numbers, nil
}

// writeMetadata and readMetadata have the length in front, as an unsigned varint.
func writeMetadata(w io.Writer, m *metadata) error {
	b := m.encode()
	_, err := w.Write(append(binary.AppendUvarint(nil, uint64(len(b))), b...))
	return err
}

func readMetadata(r io.Reader) (metadata, error) {
	buffered := bufio.NewReaderSize(r, 64)
	size, err := binary.ReadUvarint(buffered)
	if err != nil {
		return metadata{}, err
	}
	if size > mostMetadata {
		return metadata{}, errMetadata
	}
	b := make([]byte, size)
	if _, err = io.ReadFull(buffered, b); err != nil {
		return metadata{}, err
	}
	return decodeMetadata(b)
}

// introducer asks and answers.
type introducer struct {
	node *node
	own  metadata
}

func newIntroducer(n *node, o *settled) *introducer {
	own := metadata{cluster: uint32(o.Cluster), hasCluster: true}
	for _, shard := range o.Shards {
		own.shards = append(own.shards, uint32(shard))
	}
	return &introducer{n, own}
}

// answer is the handler of the protocol. What the other side says of itself is not
// taken from its question: it is asked.
func (i *introducer) answer(s network.Stream) {
	if err := i.exchange(s, func() error {
		if _, err := readMetadata(s); err != nil {
			return err
		}
		return writeMetadata(s, &i.own)
	}); err != nil {
		_ = s.Reset() // the other side notices
	}
}

// ask tells what speaks against a peer. One that does not know the protocol may stay,
// as with deployed peers.
func (i *introducer) ask(ctx context.Context, c network.Conn) error {
	s, err := i.node.NewStream(ctx, c.RemotePeer(), metadataProtocol)
	var unknown multistream.ErrNotSupported[protocol.ID]
	if errors.As(err, &unknown) {
		return nil
	}
	if err != nil {
		return err
	}
	var theirs metadata
	err = i.exchange(s, func() error {
		if err := writeMetadata(s, &i.own); err != nil {
			return err
		}
		theirs, err = readMetadata(s)
		return err
	})
	switch {
	case err != nil:
		_ = s.Reset()
		return err
	case !theirs.hasCluster:
		return fmt.Errorf("%w: none", errForeignCluster)
	case theirs.cluster != i.own.cluster:
		return fmt.Errorf("%w: %d", errForeignCluster, theirs.cluster)
	}
	return nil
}

func (i *introducer) exchange(s network.Stream, talk func() error) error {
	if err := s.SetDeadline(time.Now().Add(i.node.patience)); err != nil {
		return err
	}
	if err := talk(); err != nil {
		return err
	}
	return s.Close()
}
