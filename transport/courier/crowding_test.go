package courier_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/transport/topic"
)

// T18, T19: segments of strangers, of whom there is any number, push out no unfinished
// message of somebody we have written to, and those of one stranger none of another. Also
// not from the store.
func TestUnfinishedMessagesAreNotCrowdedOut(t *testing.T) {
	const flood = 100
	for name, test := range map[string]struct {
		written    bool // Bob has written to Alice
		negotiated bool
		one        bool // the flood is of one signer
	}{
		"on a negotiated topic":       {written: true, negotiated: true},
		"of an acquaintance":          {written: true},
		"of a stranger, by one other": {one: true},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := &network{t, newRandom()}
					limits := segment.DefaultLimits
					limits.SignerIncomplete, limits.Incomplete = 8, 32
					h, s := onStage(t, func(o *courier.Options) { o.Segments = limits })
					alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
					h.live(bob)
					if test.written {
						h.write(bob, alice, "hello")
					}
					settle()
					partition := topic.Partitioned(bob.public)
					deliver := func(m carrier.Message) {
						m.Time = time.Now().UnixNano()
						s.receiver.Deliver(carrier.Received{Message: m, At: m.Time})
					}
					text := "of two parts, each in an envelope"
					parts, err := segment.Split([]byte(text), 20)
					if err != nil || len(parts) < 2 {
						t.Fatal(len(parts), err)
					}
					write := func(part []byte) {
						if test.negotiated {
							deliver(n.sealed(must[topic.Name](n)(topic.Negotiated(&alice.key, bob.public)), alice, string(part)))
						} else {
							deliver(n.asymmetric(partition, bob, alice, part))
						}
						settle()
					}
					write(parts[0])
					eve := newPerson(t, "eve")
					for i := range uint32(flood) {
						if !test.one {
							eve = newPerson(t, fmt.Sprint("eve ", i))
						}
						part := waku.Segment{Count: 2, Payload: []byte("x")}
						binary.BigEndian.PutUint32(part.Hash[:], i)
						deliver(n.asymmetric(partition, bob, eve, part.Encode()))
						time.Sleep(100 * time.Millisecond)
					}
					settle()
					want := 17 // half of what may be, and Alice's
					if test.one {
						want = 3
					}
					if n := h.count(persistence.KindSegment); n != want {
						t.Errorf("%d segments in the store, want %d", n, want)
					}
					if restart {
						h.crash()
						h.open()
						h.live(bob)
						settle()
					}
					write(parts[1])
					bob.has(text)
				})
			})
		}
	}
}
