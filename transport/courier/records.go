package courier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// Store keeps what a courier has to know when it starts again. A sealed
// persistence.Store is one: some of the values are keys. Safe for concurrent use.
type Store interface {
	// Get gives a record's value; persistence.ErrNotFound if there is none.
	Get(ctx context.Context, name persistence.Name) ([]byte, error)
	// Scan calls fn for the records whose name starts with prefix, in the order of
	// their names. The value is valid during the call only.
	Scan(ctx context.Context, prefix persistence.Name, fn func(name persistence.Name, value []byte) error) error
	// Apply writes the batch as a whole or not at all; it is durable when Apply
	// returns nil.
	Apply(ctx context.Context, batch persistence.Batch) error
}

// mustMarshal encodes a record of ours. Protobuf fails for strings that are not
// UTF-8, and these messages have none.
func mustMarshal(m proto.Message) []byte {
	value, err := proto.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("internal error: encode %T: %v", m, err))
	}
	return value
}

func unmarshal(name persistence.Name, value []byte, m proto.Message) error {
	if err := proto.Unmarshal(value, m); err != nil {
		return corrupt(name, "encoding")
	}
	return nil
}

func corrupt(name persistence.Name, what string) error {
	return fmt.Errorf("%w: %v: %s", ErrCorrupt, name, what)
}

// lastPart is the last part of a name, which has to be of that size.
func lastPart(name persistence.Name, parts, size int) ([]byte, error) {
	all, err := name.Parts()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if len(all) != parts || len(all[parts-1]) != size {
		return nil, corrupt(name, "name")
	}
	return all[parts-1], nil
}

func encodeBlock(b *block) []byte {
	ids := make([]byte, 0, idSize*len(b.ids))
	for _, i := range b.ids {
		ids = append(ids, i[:]...)
	}
	return mustMarshal(&record.Envelopes{Ids: ids, Last: b.last})
}

// load reads what the window remembered when the last process ended.
func (w *window) loadAll(ctx context.Context, store Store) error {
	prefix := persistence.NewName(persistence.KindEnvelopes, []byte{w.which})
	return store.Scan(ctx, prefix, func(name persistence.Name, value []byte) error {
		number, ids, last, err := decodeBlock(name, value)
		if err != nil {
			return err
		}
		w.load(number, ids, last)
		return nil
	})
}

func decodeBlock(name persistence.Name, value []byte) (number uint64, ids []id, last int64, err error) {
	part, err := lastPart(name, 2, 8)
	if err != nil {
		return 0, nil, 0, err
	}
	var r record.Envelopes
	if err := unmarshal(name, value, &r); err != nil {
		return 0, nil, 0, err
	}
	if len(r.GetIds()) == 0 || len(r.GetIds())%idSize != 0 {
		return 0, nil, 0, corrupt(name, "ids")
	}
	ids = make([]id, 0, blockSize)
	for one := range slices.Chunk(r.GetIds(), idSize) {
		ids = append(ids, id(one))
	}
	return binary.BigEndian.Uint64(part), ids, r.GetLast(), nil
}

func cursorName() persistence.Name { return persistence.NewName(persistence.KindCursor) }

func loadCursor(ctx context.Context, store Store) (int64, error) {
	value, err := store.Get(ctx, cursorName())
	if errors.Is(err, persistence.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return decodeCursor(cursorName(), value)
}

func decodeCursor(name persistence.Name, value []byte) (int64, error) {
	if name != cursorName() {
		return 0, corrupt(name, "name")
	}
	var r record.Cursor
	if err := unmarshal(name, value, &r); err != nil {
		return 0, err
	}
	return r.GetAt(), nil
}

func routeName(i id) persistence.Name { return persistence.NewName(persistence.KindListening, i[:]) }

// record is what the store is to know of a route: covered until at, or, for 0, as
// far as the cursor.
func (r *route) record(at int64) persistence.Record {
	listening := &record.Listening{Covered: at, Left: r.left, Key: r.digest[:]}
	if !r.kind.Symmetric() {
		listening.Key = nil
	}
	if r.kind == topic.KindNegotiated {
		wire := r.wire
		listening.Identity, listening.Peer, listening.Topic = r.identity[:], r.peer[:], wire[:]
		listening.Proven = r.proven
	}
	return persistence.Record{Name: routeName(r.id), Value: mustMarshal(listening)}
}

// loadRoutes reads the routes that were listened to. Nobody does so far.
func loadRoutes(ctx context.Context, store Store, each func(*route)) error {
	return store.Scan(ctx, persistence.NewName(persistence.KindListening), func(name persistence.Name, value []byte) error {
		r, err := decodeRoute(name, value)
		if err != nil {
			return err
		}
		each(r)
		return nil
	})
}

func decodeRoute(name persistence.Name, value []byte) (*route, error) {
	digest, err := lastPart(name, 1, idSize)
	if err != nil {
		return nil, err
	}
	var l record.Listening
	if err := unmarshal(name, value, &l); err != nil {
		return nil, err
	}
	r := &route{id: id(digest), progress: progress{stored: asFollowing, covered: l.GetCovered(), left: l.GetLeft()}}
	if l.GetCovered() != 0 {
		r.stored, r.storedAt = asOwn, l.GetCovered()
	}
	if key := l.GetKey(); len(key) == len(r.digest) {
		r.digest = topic.Digest(key)
	}
	if len(l.GetPeer()) != 0 {
		if len(l.GetPeer()) != x3dh.PublicKeySize || len(l.GetIdentity()) != x3dh.PublicKeySize || len(l.GetTopic()) != topic.Size {
			return nil, corrupt(name, "negotiated topic")
		}
		r.kind = topic.KindNegotiated
		r.identity, r.peer = x3dh.IdentityPublicKey(l.GetIdentity()), x3dh.IdentityPublicKey(l.GetPeer())
		r.setTopic(topic.Topic(l.GetTopic()))
		r.proven, r.storedProven = l.GetProven(), l.GetProven()
	}
	return r, nil
}

func keyName(d topic.Digest) persistence.Name {
	return persistence.NewName(persistence.KindTopicKey, d[:])
}

// decodeKey reads the key of a topic. What it decodes on the way is wiped.
func decodeKey(name persistence.Name, value []byte) (key secret.Key, err error) {
	if _, err := lastPart(name, 1, len(topic.Digest{})); err != nil {
		return key, err
	}
	var r record.TopicKey
	if err := unmarshal(name, value, &r); err != nil {
		return key, err
	}
	defer clear(r.GetKey())
	if key, err = secret.NewKey(r.GetKey()); err != nil {
		return key, corrupt(name, "key")
	}
	return key, nil
}

func decodeSegment(name persistence.Name, value []byte) (r *record.Segment, s waku.Segment, err error) {
	r = new(record.Segment)
	if err := unmarshal(name, value, r); err != nil {
		return nil, s, err
	}
	if s, err = waku.DecodeSegment(r.GetSegment()); err != nil || len(r.GetAuthor()) != x3dh.PublicKeySize {
		return nil, s, corrupt(name, "segment")
	}
	return r, s, nil
}

// CheckRecord tells what is wrong with a record, ErrCorrupt, and whether it is one that
// couriers write at all.
func CheckRecord(name persistence.Name, value []byte) (ours bool, err error) {
	switch name.Kind() {
	case persistence.KindTopicKey:
		key, err := decodeKey(name, value)
		key.Wipe()
		return true, err
	case persistence.KindListening:
		_, err = decodeRoute(name, value)
	case persistence.KindCursor:
		_, err = decodeCursor(name, value)
	case persistence.KindEnvelopes:
		_, _, _, err = decodeBlock(name, value)
	case persistence.KindSegment:
		_, _, err = decodeSegment(name, value)
	default:
		return false, nil
	}
	return true, err
}
