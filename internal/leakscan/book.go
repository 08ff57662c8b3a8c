package leakscan

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/ratchet"
)

// Secret is a key, or as much of the start of a payload.
type Secret = [secret.KeySize]byte

// Book knows every secret that was ever handed to the store, and those that lie
// on the way from one state of a session to the next: what an observer of all
// commits knows. Safe for concurrent use.
type Book struct {
	// Learned is told each secret, if it is not nil; set it before the first Read.
	Learned func(Secret)

	mu sync.Mutex
	// learned says what each secret was. Those that a record held are what a
	// disk may still have; the others are derived.
	learned map[Secret]string
	// live are the secrets of the records as they stand.
	live map[persistence.Name][]Secret
	// states are the sessions as they stand.
	states map[persistence.Name]*record.Ratchet
	turns  int
	closed bool
	wrong  []string // steps whose end is not what was committed
}

// NewBook is an empty one.
func NewBook() *Book {
	return &Book{
		learned: make(map[Secret]string),
		live:    make(map[persistence.Name][]Secret),
		states:  make(map[persistence.Name]*record.Ratchet),
	}
}

// Read takes note of a batch.
func (b *Book) Read(batch persistence.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, r := range batch.Records {
		if err := b.readRecord(r); err != nil {
			b.wrong = append(b.wrong, fmt.Sprintf("record %v: %v", r.Name, err))
		}
	}
}

// Shut closes the book for what happens on a disk that is not looked at any
// more, and opens it again.
func (b *Book) Shut(closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = closed
}

func (b *Book) readRecord(r persistence.Record) error {
	delete(b.live, r.Name)
	if r.Delete {
		delete(b.states, r.Name)
		return nil
	}
	switch r.Name.Kind() {
	case persistence.KindSession:
		var s record.Session
		if err := proto.Unmarshal(r.Value, &s); err != nil {
			return err
		}
		next := s.GetRatchet()
		if next == nil {
			delete(b.states, r.Name)
			return nil
		}
		b.hold(r.Name, "root key", next.GetRoot())
		b.hold(r.Name, "chain key", next.GetSendKey())
		b.hold(r.Name, "chain key", next.GetRecvKey())
		b.hold(r.Name, "message key", next.GetRecvHead())
		b.hold(r.Name, "ratchet private key", next.GetSelfPrivate())
		if before := b.states[r.Name]; before != nil {
			b.between(r.Name, before, next)
		}
		b.states[r.Name] = next
	case persistence.KindSkipped:
		var k record.SkippedKey
		if err := proto.Unmarshal(r.Value, &k); err != nil {
			return err
		}
		b.hold(r.Name, "skipped key", k.GetKey())
	case persistence.KindPrekey:
		var k record.PreKey
		if err := proto.Unmarshal(r.Value, &k); err != nil {
			return err
		}
		b.hold(r.Name, "signed prekey", k.GetPrivateKey())
	case persistence.KindInbox:
		var m record.Inbox
		if err := proto.Unmarshal(r.Value, &m); err != nil {
			return err
		}
		b.hold(r.Name, "payload", m.GetPayload())
	default:
	}
	return nil
}

// hold notes a secret of a record. Shorter and absent ones are none.
func (b *Book) hold(name persistence.Name, what string, value []byte) {
	if len(value) < secret.KeySize || bytes.Count(value, []byte{0}) == len(value) {
		return
	}
	key := Secret(value)
	b.learn(what, key)
	b.live[name] = append(b.live[name], key)
}

func (b *Book) derive(what string, key secret.Key) {
	if _, known := b.learned[key.Array()]; !known {
		b.learn(what, key.Array())
	}
}

func (b *Book) learn(what string, key Secret) {
	b.learned[key] = what
	if b.Learned != nil {
		b.Learned(key)
	}
}

// between derives what a session has used from one state to the next.
func (b *Book) between(name persistence.Name, before, after *record.Ratchet) {
	root := key(before.GetRoot())
	turned := !bytes.Equal(before.GetRemote(), after.GetRemote())
	switch {
	case !turned:
		c := chain{key(before.GetRecvKey()), before.GetRecvN(), before.GetRecvHead()}
		b.walk(name, c, after.GetRecvN(), after.GetRecvKey())
	case len(before.GetSelfPrivate()) > 0:
		b.turns++
		first, ok := b.turn(name, &root, before.GetSelfPrivate(), after.GetRemote())
		if !ok {
			return
		}
		b.walk(name, chain{key: first}, after.GetRecvN(), after.GetRecvKey())
		b.walk(name, chain{key(before.GetSendKey()), before.GetSendN(), nil}, after.GetPn(), nil)
	default:
		b.wrong = append(b.wrong, fmt.Sprintf("%v: two turns in one commit", name))
		return
	}
	switch {
	case len(after.GetSelfPublic()) == 0: // it has not answered yet
	case !turned && bytes.Equal(before.GetSelfPublic(), after.GetSelfPublic()):
		b.walk(name, chain{key(before.GetSendKey()), before.GetSendN(), nil}, after.GetSendN(), after.GetSendKey())
	default:
		b.turns++
		first, ok := b.turn(name, &root, after.GetSelfPrivate(), after.GetRemote())
		if ok {
			b.walk(name, chain{key: first}, after.GetSendN(), after.GetSendKey())
		}
	}
	if !bytes.Equal(root.Bytes(), after.GetRoot()) {
		b.wrong = append(b.wrong, fmt.Sprintf("%v: another root", name))
	}
}

// turn makes half of a DH ratchet step.
func (b *Book) turn(name persistence.Name, root *secret.Key, private, public []byte) (first secret.Key, ok bool) {
	own, err := curve.NewPrivateKey(private)
	if err == nil {
		var remote curve.PublicKey
		if remote, err = curve.ParsePublicKey(public); err == nil {
			var shared secret.Key
			if shared, err = own.DH(remote); err == nil {
				*root, first, _ = ratchet.KDFRoot(root, &shared)
			}
		}
	}
	if err != nil {
		b.wrong = append(b.wrong, fmt.Sprintf("%v: %v", name, err))
		return first, false
	}
	b.derive("root key", *root)
	b.derive("chain key", first)
	return first, true
}

// chain is one at a number; head is the message key of that number, if it was
// derived before.
type chain struct {
	key  secret.Key
	n    uint32
	head []byte
}

// walk derives all keys up to a number, where the chain has to be at end.
func (b *Book) walk(name persistence.Name, c chain, until uint32, end []byte) {
	for ; c.n < until; c.n++ {
		if len(c.head) > 0 {
			c.head = nil
			continue
		}
		var message secret.Key
		c.key, message = ratchet.KDFChain(&c.key)
		b.derive("chain key", c.key)
		b.derive("message key", message)
	}
	if end != nil && !bytes.Equal(c.key.Bytes(), end) {
		b.wrong = append(b.wrong, fmt.Sprintf("%v: chain at %d is another", name, until))
	}
}

func key(b []byte) secret.Key {
	var k Secret
	copy(k[:], b)
	return secret.KeyOf(k)
}

// Consumed are the secrets that no record holds any more, and how many there are
// of each sort.
func (b *Book) Consumed() (gone map[Secret]string, counts map[string]int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	live := b.livingLocked()
	gone, counts = make(map[Secret]string), make(map[string]int)
	for key, what := range b.learned {
		if _, ok := live[key]; !ok {
			gone[key] = what
			counts[what]++
		}
	}
	return gone, counts
}

// Living are the secrets of the records as they stand.
func (b *Book) Living() map[Secret]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.livingLocked()
}

func (b *Book) livingLocked() map[Secret]string {
	live := make(map[Secret]string)
	for _, keys := range b.live {
		for _, key := range keys {
			live[key] = b.learned[key]
		}
	}
	return live
}

// Wrong says of which steps the end is not what was committed.
func (b *Book) Wrong() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.wrong)
}

// Turns counts the halves of DH ratchet steps that were made again.
func (b *Book) Turns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.turns
}
