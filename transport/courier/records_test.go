package courier

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// idle is a carrier that does nothing.
type idle struct{ carrier.Carrier }

func (idle) Receive(carrier.Receiver) {}
func (idle) Close() error             { return nil }

func apply(t *testing.T, store Store, records []persistence.Record) {
	t.Helper()
	if err := store.Apply(t.Context(), persistence.Batch{Records: records}); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsOfRoutesComeBack(t *testing.T) {
	for name, r := range map[string]*route{
		"asymmetric": {id: id{1}, kind: topic.KindPartitioned},
		"symmetric":  {id: id{2}, kind: topic.KindPublicChat, digest: topic.Digest{5}},
		"negotiated": {
			id: id{3}, kind: topic.KindNegotiated, digest: topic.Digest{6}, identity: x3dh.IdentityPublicKey{2, 7}, peer: x3dh.IdentityPublicKey{3, 8},
			progress: progress{left: 5},
		},
	} {
		r.setTopic(topic.Topic{1, 2, 3, 4})
		for _, at := range []int64{0, 77} {
			store := memory.New()
			apply(t, store, []persistence.Record{r.record(at)})
			var got *route
			if err := loadRoutes(t.Context(), store, func(r *route) { got = r }); err != nil || got == nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got.id != r.id || got.digest != r.digest || got.left != r.left || (got.stored == asOwn) != (at != 0) || got.storedAt != at {
				t.Errorf("%s: %+v", name, got)
			}
			if r.kind == topic.KindNegotiated && (got.peer != r.peer || got.identity != r.identity || got.content != r.content || got.kind != r.kind) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

func TestCorruptRecordsAreRefused(t *testing.T) {
	encode := func(m proto.Message) []byte { return mustMarshal(m) }
	segment := waku.Segment{Hash: [32]byte{1}, Count: 2, Payload: []byte("x")}
	for name, r := range map[string]persistence.Record{
		"cursor":                {Name: cursorName(), Value: []byte{0xff}},
		"route":                 {Name: routeName(id{1}), Value: []byte{0xff}},
		"name of a route":       {Name: persistence.NewName(persistence.KindListening, []byte("short"))},
		"parts of a route":      {Name: persistence.NewName(persistence.KindListening, make([]byte, idSize), nil)},
		"peer":                  {Name: routeName(id{1}), Value: encode(&record.Listening{Peer: make([]byte, 33), Identity: make([]byte, 32), Topic: make([]byte, 4)})},
		"topic":                 {Name: routeName(id{1}), Value: encode(&record.Listening{Peer: make([]byte, 33), Identity: make([]byte, 33), Topic: make([]byte, 5)})},
		"block":                 {Name: newWindow(0, 1, 1).name(1), Value: []byte{0xff}},
		"ids":                   {Name: newWindow(0, 1, 1).name(1), Value: encode(&record.Envelopes{Ids: make([]byte, 17)})},
		"no ids":                {Name: newWindow(1, 1, 1).name(1), Value: encode(&record.Envelopes{})},
		"name of a block":       {Name: persistence.NewName(persistence.KindEnvelopes, []byte{0}, []byte("x"))},
		"segment":               {Name: segmentName(wholeKey{}, &segment), Value: []byte{0xff}},
		"content of a segment":  {Name: segmentName(wholeKey{}, &segment), Value: encode(&record.Segment{Author: make([]byte, 33), Segment: []byte("x")})},
		"author of the segment": {Name: segmentName(wholeKey{}, &segment), Value: encode(&record.Segment{Author: make([]byte, 32), Segment: segment.Encode()})},
	} {
		store := memory.New()
		apply(t, store, []persistence.Record{r})
		if _, err := New(t.Context(), Options{Carrier: idle{}, Store: store}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if ours, err := CheckRecord(r.Name, r.Value); !ours || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: checked as %v, ours: %t", name, err, ours)
		}
	}
	key := persistence.Record{Name: keyName(topic.Digest{1}), Value: encode(&record.TopicKey{Key: make([]byte, 31)})}
	if ours, err := CheckRecord(key.Name, key.Value); !ours || !errors.Is(err, ErrCorrupt) {
		t.Errorf("short topic key: %v, ours: %t", err, ours)
	}
	if ours, err := CheckRecord(persistence.NewName(persistence.KindContact), nil); ours || err != nil {
		t.Errorf("a contact: %v, ours: %t", err, ours)
	}
}

// A segment whose message is dropped while its record is on the way to the store leaves
// none, whether the deletion is written before it or with it; and one that is kept does.
func TestDroppedSegmentsLeaveNoRecord(t *testing.T) {
	store := memory.New()
	c, err := New(t.Context(), Options{Carrier: quiet{}, Store: store, LookBack: Never})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	segments := func() (n int) {
		err := store.Scan(t.Context(), persistence.NewName(persistence.KindSegment), func(persistence.Name, []byte) error {
			n++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	flush := func() {
		if err := c.written(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	author := x3dh.IdentityPublicKey{0, 1}
	kept := 0
	for n, test := range []struct {
		drop, between bool
	}{{true, true}, {true, false}, {false, false}} {
		s := waku.Segment{Hash: [32]byte{byte(n + 1)}, Count: 2, Payload: []byte("x")}
		y := c.segments.strangers
		result, err := y.add(c.now(), author, &s)
		if err != nil || result.keep == nil {
			t.Fatalf("%+v: %+v, %v", test, result, err)
		}
		if test.drop {
			y.finished(wholeKey{s.Hash, author})
		} else {
			kept++
		}
		if test.between {
			flush()
		}
		through := make(chan struct{})
		if !c.writeFor(&route{}, *result.keep, func() { close(through) }) {
			t.Fatal("not written")
		}
		<-through
		flush()
		if found := segments(); found != kept {
			t.Errorf("%+v: %d segments in the store, want %d", test, found, kept)
		}
	}
}
