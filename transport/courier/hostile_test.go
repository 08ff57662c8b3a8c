package courier_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/transport/topic"
)

// network is who can write anything on any topic.
type network struct {
	*testing.T
	random *random
}

func must[V any](n *network) func(V, error) V {
	return func(v V, err error) V {
		n.Helper()
		if err != nil {
			n.Fatal(err)
		}
		return v
	}
}

func content(name topic.Name) carrier.Topic { return carrier.Topic(name.Topic().ContentTopic()) }

// sealed is an envelope under the key of a topic.
func (n *network) sealed(name topic.Name, signer *person, data string) carrier.Message {
	n.Helper()
	key := must[topicKey](n)(keyOf(name))
	payload := must[[]byte](n)(envelope.SealSymmetric(n.random, &key.Key, &signer.key, []byte(data)))
	return carrier.Message{Topic: content(name), Payload: payload}
}

// asymmetric is an envelope for an identity.
func (n *network) asymmetric(on topic.Name, to, signer *person, data []byte) carrier.Message {
	n.Helper()
	return carrier.Message{Topic: content(on), Payload: must[[]byte](n)(envelope.SealFor(n.random, to.public, &signer.key, data))}
}

// T19, T21: whatever is not right costs a count and nothing else, also the second
// time.
//
// Spec: 5.authenticity.1 5.integrity.1
func TestWhatIsNotForUsOrNotRightIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{t, newRandom()}
		h, s := onStage(t)
		alice, bob, eve := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "eve")
		h.live(bob)
		h.listen(bob, transport.ContactCodeTopic(alice.public))
		h.listen(bob, transport.PublicTopic("chat"))
		h.write(bob, alice, "hello") // they share a topic
		settle()
		partition := topic.Partitioned(bob.public)
		personal := must[topic.Name](n)(topic.Personal(bob.public))
		code := must[topic.Name](n)(topic.ContactCode(alice.public))
		shared := must[topic.Name](n)(topic.Negotiated(&alice.key, bob.public))
		chat := must[topic.Name](n)(topic.PublicChat("chat"))
		good := n.asymmetric(partition, bob, alice, []byte("x")).Payload
		flip := func(at int) []byte {
			b := bytes.Clone(good)
			b[at] ^= 1
			return b
		}
		segment := func(change func(*waku.Segment)) []byte {
			one := waku.Segment{Hash: [32]byte{1}, Index: 0, Count: 2, Payload: []byte("part")}
			change(&one)
			return one.Encode()
		}
		unsigned := must[topicKey](n)(keyOf(chat))
		for _, test := range []struct {
			name    string
			message carrier.Message
			want    courier.Counts
			came    string
		}{
			{"on no topic of ours", carrier.Message{Topic: "/waku/1/0x00000000/rfc26", Payload: good}, courier.Counts{Unwanted: 1}, ""},
			{"on something else", carrier.Message{Topic: "x", Payload: good}, courier.Counts{Unwanted: 1}, ""},
			{"nothing", carrier.Message{Topic: content(partition)}, courier.Counts{Malformed: 1}, ""},
			{"too short for a MAC", carrier.Message{Topic: content(partition), Payload: good[:113]}, courier.Counts{Malformed: 1}, ""},
			{"not a point", carrier.Message{Topic: content(partition), Payload: bytes.Repeat([]byte{4}, 400)}, courier.Counts{Malformed: 1}, ""},
			{"another point", carrier.Message{Topic: content(partition), Payload: flip(0)}, courier.Counts{Malformed: 1}, ""},
			{"another text", carrier.Message{Topic: content(partition), Payload: flip(100)}, courier.Counts{Foreign: 1}, ""},
			{"another MAC", carrier.Message{Topic: content(partition), Payload: flip(len(good) - 1)}, courier.Counts{Foreign: 1}, ""},
			{"for somebody else", n.asymmetric(partition, eve, alice, []byte("x")), courier.Counts{Foreign: 1}, ""},
			{"under a key, where there is none", carrier.Message{Topic: content(partition), Payload: n.sealed(chat, alice, "x").Payload}, courier.Counts{Malformed: 1}, ""},
			{"to a key, where there is none", carrier.Message{Topic: content(chat), Payload: good}, courier.Counts{Foreign: 1}, ""},
			{"under the key of another topic", carrier.Message{Topic: content(code), Payload: n.sealed(chat, alice, "x").Payload}, courier.Counts{Foreign: 1}, ""},
			{"short and symmetric", carrier.Message{Topic: content(chat), Payload: []byte("short")}, courier.Counts{Malformed: 1}, ""},
			{"unsigned", carrier.Message{Topic: content(chat), Payload: unsigned.seal(n, []byte{1, 1, 'x'})}, courier.Counts{Unsigned: 1}, ""},
			{"nonsense inside", carrier.Message{Topic: content(chat), Payload: unsigned.seal(n, []byte{3, 255, 255, 255, 'x'})}, courier.Counts{Malformed: 1}, ""},
			{"a contact code of another", n.sealed(code, eve, "x"), courier.Counts{Misattributed: 1}, ""},
			{"of another on a shared topic", n.sealed(shared, eve, "x"), courier.Counts{Misattributed: 1}, ""},
			{"our own on a shared topic", n.sealed(shared, bob, "x"), courier.Counts{Echoes: 1}, ""},
			{"segment of none", n.sealed(chat, eve, string(segment(func(s *waku.Segment) { s.Count = 1 }))), courier.Counts{Malformed: 1}, ""},
			{"segment behind the last", n.sealed(chat, eve, string(segment(func(s *waku.Segment) { s.Index = 2 }))), courier.Counts{Malformed: 1}, ""},
			{"segment of too many", n.sealed(chat, eve, string(segment(func(s *waku.Segment) { s.Count = 1 << 20 }))), courier.Counts{Malformed: 1}, ""},
			{"segments of another message", n.sealed(chat, eve, string(segment(func(*waku.Segment) {}))), courier.Counts{Segments: 1}, ""},
			{"and the last of them", n.sealed(chat, eve, string(segment(func(s *waku.Segment) { s.Index = 1 }))), courier.Counts{Malformed: 1}, ""},
			{"good", n.asymmetric(partition, bob, alice, []byte("good")), courier.Counts{Delivered: 1}, "good"},
			{"good, from nobody we know", n.asymmetric(personal, bob, eve, []byte("stranger")), courier.Counts{Delivered: 1}, "stranger"},
			{"good code", n.sealed(code, alice, "code"), courier.Counts{Delivered: 1}, "code"},
			{"good on a shared topic", n.sealed(shared, alice, "shared"), courier.Counts{Delivered: 1}, "shared"},
			{"our own in public", n.sealed(chat, bob, "own"), courier.Counts{Delivered: 1}, "own"},
			{"empty", n.sealed(chat, eve, ""), courier.Counts{Delivered: 1}, ""},
		} {
			for round, at := range []int64{time.Now().UnixNano(), 0} { // the second time it is known
				bob.forget()
				before := h.courier.Counts()
				r := carrier.Received{Message: test.message, At: at}
				s.receiver.Deliver(r)
				settle()
				got := difference(h.courier.Counts(), before)
				want := test.want
				switch {
				case round == 1 && want.Unwanted == 0:
					want = courier.Counts{Repeated: 1}
				case round == 1 && want.Delivered == 1:
					test.came = ""
				}
				want.Received = 1
				if got != want {
					t.Errorf("%s, round %d: %+v, want %+v", test.name, round, got, want)
				}
				if texts := bob.texts(); round == 0 && want.Delivered == 1 && (len(texts) != 1 || texts[0] != test.came) {
					t.Errorf("%s: came %q", test.name, texts)
				} else if (round == 1 || want.Delivered == 0) && len(texts) != 0 {
					t.Errorf("%s, round %d: came %q", test.name, round, texts)
				}
			}
		}
	})
}

// difference is what was counted in between, but for what depends on the time.
func difference(after, before courier.Counts) courier.Counts {
	return courier.Counts{
		Received: after.Received - before.Received, Unwanted: after.Unwanted - before.Unwanted, Repeated: after.Repeated - before.Repeated,
		Foreign: after.Foreign - before.Foreign, Malformed: after.Malformed - before.Malformed, Unsigned: after.Unsigned - before.Unsigned,
		Misattributed: after.Misattributed - before.Misattributed, Echoes: after.Echoes - before.Echoes, Segments: after.Segments - before.Segments,
		Outdated: after.Outdated - before.Outdated, Delivered: after.Delivered - before.Delivered, Refused: after.Refused - before.Refused,
		Left: after.Left - before.Left, Panics: after.Panics - before.Panics,
	}
}

// T18: a node may answer anything when it is asked for the history: work and memory are
// bounded, what is right in it is delivered, and it is asked again slowly.
func TestLyingHistoryCostsLittleAndHidesNothing(t *testing.T) {
	const most = 100
	type each = func(carrier.Received) error
	for _, test := range []struct {
		name    string
		history func(good carrier.Message, since, until int64, each each) error
		asked   int // at most, in a day
	}{
		{"the future", func(m carrier.Message, _, until int64, each each) error {
			return each(carrier.Received{Message: m, At: until + int64(time.Hour)})
		}, 2},
		{"the past", func(m carrier.Message, since, _ int64, each each) error {
			return each(carrier.Received{Message: m, At: since - int64(1000*time.Hour)})
		}, 2},
		{"before the epoch", func(m carrier.Message, _, _ int64, each each) error {
			return each(carrier.Received{Message: m, At: -1 << 63})
		}, 2},
		{"the same for ever", func(m carrier.Message, since, _ int64, each each) error {
			for {
				if err := each(carrier.Received{Message: m, At: since}); err != nil {
					return err
				}
			}
		}, 60},
		{"others for ever", func(m carrier.Message, since, _ int64, each each) error {
			for n := since; ; n++ {
				if err := each(carrier.Received{Message: m, At: n}); err != nil {
					return err
				}
				m.Payload = append([]byte(nil), m.Payload...)
				m.Payload[len(m.Payload)-1]++
				m.Payload[len(m.Payload)-2] += byte(n)
				m.Payload[len(m.Payload)-3] += byte(n >> 8)
			}
		}, 60},
		{"backwards for ever", func(m carrier.Message, _, until int64, each each) error {
			for n := until; ; n -= int64(time.Second) {
				if err := each(carrier.Received{Message: m, At: n}); err != nil {
					return err
				}
			}
		}, 60},
		{"of other topics for ever", func(m carrier.Message, since, _ int64, each each) error {
			if err := each(carrier.Received{Message: m, At: since}); err != nil {
				return err
			}
			m.Topic = "/waku/1/0x00000000/rfc26"
			for {
				if err := each(carrier.Received{Message: m, At: since}); err != nil {
					return err
				}
			}
		}, 60},
		{"nonsense", func(m carrier.Message, since, _ int64, each each) error {
			if err := each(carrier.Received{Message: m, At: since}); err != nil {
				return err
			}
			return carrier.ErrHistory
		}, 60},
		{"not reachable", func(m carrier.Message, since, _ int64, each each) error {
			if err := each(carrier.Received{Message: m, At: since}); err != nil {
				return err
			}
			return carrier.ErrUnreachable
		}, 700},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{t, newRandom()}
				alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
				good := n.asymmetric(topic.Partitioned(bob.public), bob, alice, []byte("good"))
				asked := 0
				h, s := onStage(t, func(o *courier.Options) { o.MaxHistory = most })
				s.history = func(_ context.Context, _ []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
					asked++
					return test.history(good, since, until, each)
				}
				h.live(bob)
				settle()
				bob.has("good")
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				bob.has("good")
				if asked > test.asked || test.asked > 2 && asked < 2 {
					t.Errorf("asked %d times, at most %d", asked, test.asked)
				}
				if c := h.courier.Counts(); c.Received > uint64(asked*most) || c.Foreign+c.Malformed > uint64(asked*most) {
					t.Errorf("%+v", c)
				}
				// Whatever it was told, the courier goes on from no later than now.
				s.mu.Lock()
				var from int64
				s.history = func(_ context.Context, _ []carrier.Topic, since, _ int64, _ func(carrier.Received) error) error {
					from = since
					return nil
				}
				s.mu.Unlock()
				now := time.Now().UnixNano()
				h.close()
				h.open()
				h.live(bob)
				settle()
				if from == 0 || from > now-int64(time.Minute) || from < now-int64(15*24*time.Hour) {
					t.Errorf("read from %v ago", time.Duration(now-from))
				}
			})
		})
	}
}
