package courier

import (
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/transport/topic"
)

// assemblies are the two that share the bounds of unfinished messages: half of them is
// for those who share a negotiated topic with the recipient, which takes that he has
// written to them, and half for everybody else.
type assemblies struct{ acquaintances, strangers *assembly }

// A stranger has this part of the share of an acquaintance.
const strangersPart = 4

func newAssemblies(limits segment.Limits) (y assemblies, err error) {
	if _, err := newAssembly(0, limits); err != nil {
		return y, err
	}
	half := limits
	half.Bytes = max(limits.Bytes/2, limits.MessageBytes)
	half.SignerBytes = min(limits.SignerBytes, half.Bytes)
	half.Incomplete = max(limits.Incomplete/2, 1)
	half.SignerIncomplete = min(limits.SignerIncomplete, half.Incomplete)
	if y.acquaintances, err = newAssembly(1, half); err != nil {
		return y, err
	}
	half.SignerBytes = max(half.SignerBytes/strangersPart, half.MessageBytes)
	half.SignerIncomplete = max(half.SignerIncomplete/strangersPart, 1)
	y.strangers, err = newAssembly(0, half)
	return y, err
}

func (y *assemblies) both() [2]*assembly { return [2]*assembly{y.acquaintances, y.strangers} }

// of is whose a record says that it is.
func (y *assemblies) of(whose byte) *assembly {
	if whose == y.acquaintances.whose {
		return y.acquaintances
	}
	return y.strangers
}

// forWhole is where a message is put together: where its first segment went, though its
// signer may be an acquaintance by now.
func (y *assemblies) forWhole(key wholeKey, acquainted bool) *assembly {
	if y.acquaintances.has(key) || acquainted && !y.strangers.has(key) {
		return y.acquaintances
	}
	return y.strangers
}

// acquainted tells whether the recipient of a message has written to its signer, or is
// the signer himself.
func (c *Courier) acquainted(f *found) bool {
	r := f.route
	switch r.kind {
	case topic.KindNegotiated:
		return true
	case topic.KindContactCode, topic.KindPublicChat: // no recipient
		return false
	case topic.KindPartitioned, topic.KindPersonal:
	}
	if f.Signer == r.identity {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.subscriptions[r.logical]
	return s != nil && s.negotiated[f.Signer] != nil
}

// forget drops all unfinished messages of a topic, and tells whether any record is
// still to be deleted.
func (y *assemblies) forget(logical transport.Topic) (waiting bool) {
	for _, one := range y.both() {
		waiting = one.forget(logical) || waiting
	}
	return waiting
}

// letGo tells whether a record to be put is of a segment that is not kept any more.
func (y *assemblies) letGo(r persistence.Record) bool {
	if r.Delete || r.Name.Kind() != persistence.KindSegment {
		return false
	}
	return !y.acquaintances.keeps(r.Name) && !y.strangers.keeps(r.Name)
}

// finished notes that a message was dealt with.
func (y *assemblies) finished(key wholeKey) {
	for _, one := range y.both() {
		one.finished(key)
	}
}
