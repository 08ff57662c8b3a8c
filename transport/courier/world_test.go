package courier_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rookery-im/rookery/persistence"
	store "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier/memory"
	"github.com/rookery-im/rookery/transport/courier"
	"github.com/rookery-im/rookery/x3dh"
)

// house is a process with a courier, whose identities and store outlive it.
type house struct {
	t       *testing.T
	network *memory.Network
	store   persistence.Store
	options courier.Options

	courier *courier.Courier
	carrier *memory.Carrier
	leaves  []func()
}

func newHouse(t *testing.T, network *memory.Network, change ...func(*courier.Options)) *house {
	t.Helper()
	h := &house{t: t, network: network, store: store.New(), options: courier.Options{LookBack: courier.Never, Random: newRandom()}}
	for _, f := range change {
		f(&h.options)
	}
	t.Cleanup(func() { h.close() })
	h.open()
	return h
}

func (h *house) open() {
	h.t.Helper()
	options := h.options
	if h.network != nil {
		h.carrier = h.network.Open()
		options.Carrier = h.carrier
	}
	options.Store = h.store
	c, err := courier.New(h.t.Context(), options)
	if err != nil {
		h.t.Fatal(err)
	}
	h.courier = c
}

func (h *house) close() {
	if h.courier == nil {
		return
	}
	if err := h.courier.Close(); err != nil {
		h.t.Errorf("close: %v", err)
	}
	h.courier = nil
	for _, leave := range h.leaves {
		leave()
	}
	h.leaves = nil
}

// crash ends the courier without letting it write anything.
func (h *house) crash() {
	h.t.Helper()
	frozen := h.store
	h.store = copyOf(h.t, frozen)
	h.close()
}

func copyOf(t *testing.T, from persistence.Store) persistence.Store {
	t.Helper()
	to := store.New()
	err := from.Scan(t.Context(), "", func(name persistence.Name, value []byte) error {
		return to.Apply(t.Context(), persistence.Batch{Records: []persistence.Record{{Name: name, Value: slices.Clone(value)}}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// person is an identity, wherever it lives.
type person struct {
	t      *testing.T
	key    x3dh.IdentityKey
	public x3dh.IdentityPublicKey

	mu     sync.Mutex
	got    []transport.Envelope
	refuse func(transport.Envelope) error
}

func newPerson(t *testing.T, name string) *person {
	t.Helper()
	var seed [32]byte
	copy(seed[:], name)
	key, err := x3dh.GenerateIdentity(rand.NewChaCha8(seed))
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, key: key, public: key.Public()}
}

// live has a person live in a house and listen on its own topics.
func (h *house) live(p *person) {
	h.t.Helper()
	leave, err := h.courier.Host(&p.key)
	if err != nil {
		h.t.Fatal(err)
	}
	h.leaves = append(h.leaves, leave)
	h.listen(p, transport.PersonalTopic(p.public))
}

func (h *house) listen(p *person, topic transport.Topic) func() {
	h.t.Helper()
	cancel, err := h.courier.Subscribe(topic, p.deliver)
	if err != nil {
		h.t.Fatal(err)
	}
	return cancel
}

func (p *person) deliver(e transport.Envelope, done func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		if err := p.refuse(e); err != nil {
			done(err)
			return
		}
	}
	p.got = append(p.got, e)
	done(nil)
}

// texts are the payloads that came, in their order.
func (p *person) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := make([]string, 0, len(p.got))
	for _, e := range p.got {
		texts = append(texts, string(e.Payload))
	}
	return texts
}

// has fails unless exactly these came, each once, in any order.
func (p *person) has(want ...string) {
	p.t.Helper()
	got := p.texts()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("got %d: %.400q, want %d: %.400q", len(got), got, len(want), want)
	}
}

func (p *person) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = nil
}

func (p *person) refuses(f func(transport.Envelope) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = f
}

var errNotNow = errors.New("not now")

// publish publishes, and again while the network does not take it.
func (h *house) publish(e transport.Envelope) {
	h.t.Helper()
	for range 200 {
		result := make(chan error, 2)
		h.courier.Publish(e, func(err error) { result <- err })
		err := <-result
		if err == nil {
			return
		}
		if errors.Is(err, transport.ErrClosed) || errors.Is(err, transport.ErrNotHosted) {
			h.t.Fatal(err)
		}
		time.Sleep(time.Second)
	}
	h.t.Fatal("the network takes nothing")
}

// write sends a text to a person.
func (h *house) write(from, to *person, text string) {
	h.t.Helper()
	h.publish(transport.Envelope{Topic: transport.PersonalTopic(to.public), Sender: from.public, Payload: []byte(text)})
}

func (h *house) writeAgreed(from, to *person, text string) {
	h.t.Helper()
	h.publish(transport.Envelope{Topic: transport.PersonalTopic(to.public), Sender: from.public, Payload: []byte(text), Agreed: true})
}

// settle lets pass what takes no time to speak of: gathering, keys, writes.
func settle() {
	time.Sleep(10 * time.Second)
	synctest.Wait()
}

func numbered(prefix string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s %04d", prefix, i)
	}
	return all
}

// random is a source that repeats.
type random struct {
	mu     sync.Mutex
	source *rand.ChaCha8
}

func newRandom() *random { return &random{source: rand.NewChaCha8([32]byte{1})} }

func (r *random) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(b)
}
