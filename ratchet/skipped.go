package ratchet

import (
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/internal/secret"
)

// KeyRef names a message key inside a session: the sender's ratchet key and
// the number of the message in that chain. It is public.
type KeyRef struct {
	Ratchet PublicKey
	N       uint32
}

// SkippedKey is the key of a message that has not arrived yet.
type SkippedKey struct {
	KeyRef
	Seq uint64     // how many message keys the session had made before this one
	Key secret.Key // mk
}

// Effects are the changes to the skipped message keys that belong to a new
// State: they are committed with it, then merged with Skipped.Apply.
type Effects struct {
	Add    []SkippedKey // in the order of Seq
	Remove []KeyRef     // used, or over a limit; none of them is in Add
}

// Skipped is the set of skipped message keys of one session. Decrypting reads
// it and changes nothing; Apply merges. The zero value is empty.
type Skipped struct {
	keys   map[KeyRef]SkippedKey
	order  []KeyRef          // by Seq, may name keys that are gone
	chains map[PublicKey]int // how many keys there are of each
}

// NewSkipped makes the set of stored keys, in the order of Seq.
func NewSkipped(keys []SkippedKey) *Skipped {
	s := &Skipped{}
	s.Apply(Effects{Add: keys})
	return s
}

// Len is the number of keys held.
func (s *Skipped) Len() int { return len(s.keys) }

// Refs names the keys held, in the order of Seq.
func (s *Skipped) Refs() []KeyRef {
	if s == nil {
		return nil
	}
	s.compact()
	return slices.Clone(s.order)
}

// Apply merges effects whose State has been committed. Removed keys are wiped
// from the set.
func (s *Skipped) Apply(e Effects) {
	if s.keys == nil && len(e.Add) > 0 {
		s.keys = make(map[KeyRef]SkippedKey, len(e.Add))
		s.chains = make(map[PublicKey]int)
	}
	for i := range e.Add {
		ref := e.Add[i].KeyRef
		if _, ok := s.keys[ref]; !ok {
			s.chains[ref.Ratchet]++
		}
		s.keys[ref] = e.Add[i]
		s.order = append(s.order, ref)
	}
	for _, ref := range e.Remove {
		s.remove(ref)
	}
	if len(s.order) > 2*len(s.keys)+16 {
		s.compact()
	}
}

func (s *Skipped) remove(ref KeyRef) {
	if _, ok := s.keys[ref]; !ok {
		return
	}
	delete(s.keys, ref)
	if s.chains[ref.Ratchet]--; s.chains[ref.Ratchet] == 0 {
		delete(s.chains, ref.Ratchet)
	}
}

// Format implements fmt.Formatter: the keys lie in unexported fields, where
// they could not redact themselves.
func (s Skipped) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d skipped message keys", len(s.keys))
}

// Wipe forgets every key.
func (s *Skipped) Wipe() {
	clear(s.keys)
	clear(s.chains)
	s.order = nil
}

func (s *Skipped) compact() {
	kept := make([]KeyRef, 0, len(s.keys))
	for _, ref := range s.order {
		if _, ok := s.keys[ref]; ok {
			kept = append(kept, ref)
		}
	}
	s.order = kept
}

// Knows tells whether the set holds a key of the chain of that ratchet key.
func (s *Skipped) Knows(ratchet PublicKey) bool {
	return s != nil && s.chains[ratchet] > 0
}

func (s *Skipped) find(ref KeyRef) (SkippedKey, bool) {
	if s == nil {
		return SkippedKey{}, false
	}
	k, ok := s.keys[ref]
	return k, ok
}

// enforce drops what is over the limits once fresh keys have joined: the
// oldest keys over MaxStored, and every key that is MaxKeep keys old. It
// returns the fresh keys that stay and the stored ones that go.
func (s *Skipped) enforce(fresh []SkippedKey, made uint64, limits Limits) Effects {
	var e Effects
	over := len(fresh) - limits.MaxStored
	if s != nil {
		over += len(s.keys)
		for _, ref := range s.order {
			k, ok := s.keys[ref]
			if !ok {
				continue
			}
			if over <= 0 && !tooOld(k.Seq, made, limits) {
				break
			}
			e.Remove = append(e.Remove, ref)
			over--
		}
	}
	for len(fresh) > 0 && (over > 0 || tooOld(fresh[0].Seq, made, limits)) {
		fresh[0].Key.Wipe()
		fresh = fresh[1:]
		over--
	}
	e.Add = fresh
	return e
}

func tooOld(seq, made uint64, limits Limits) bool {
	return made >= limits.MaxKeep && seq <= made-limits.MaxKeep
}
