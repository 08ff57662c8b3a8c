package rookery

import (
	"strings"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	// cohortSize is how many identities lie beside each other, and as many keys.
	cohortSize = 128
	// cohortText is how many bytes of text do.
	cohortText = 64 << 10
)

// cohort gives identities that come into memory together room beside each other. What
// the collector looks through is mostly those who sleep, and it goes by pieces: it took
// four times as long to find 100,000 identities with keys, names and topics one by one.
// A piece stays as long as somebody in it does, and a text as long as one of it is used.
// The zero value is empty; nil gives each a place of its own. For one goroutine at a time.
type cohort struct {
	identities []Identity
	keys       []x3dh.IdentityKey
	listeners  []listener
	text       strings.Builder
}

func (c *cohort) identity() *Identity {
	if c == nil {
		return new(Identity)
	}
	if len(c.identities) == 0 {
		c.identities = make([]Identity, cohortSize)
	}
	i := &c.identities[0]
	c.identities = c.identities[1:]
	return i
}

// key gives room for a private key, to be filled there: no copy is left elsewhere.
func (c *cohort) key() *x3dh.IdentityKey {
	if c == nil {
		return new(x3dh.IdentityKey)
	}
	if len(c.keys) == 0 {
		c.keys = make([]x3dh.IdentityKey, cohortSize)
	}
	key := &c.keys[0]
	c.keys = c.keys[1:]
	return key
}

// listening gives room for the two topics that most listen to, which are their own.
func (c *cohort) listening() []listener {
	const own = 2
	if c == nil {
		return make([]listener, 0, own)
	}
	if len(c.listeners) == 0 {
		c.listeners = make([]listener, own*cohortSize)
	}
	room := c.listeners[0:0:own]
	c.listeners = c.listeners[own:]
	return room
}

// string gives a copy of s.
func (c *cohort) string(s string) string {
	if c == nil {
		return s
	}
	if c.text.Cap()-c.text.Len() < len(s) {
		c.text = strings.Builder{}
		c.text.Grow(max(cohortText, len(s)))
	}
	start := c.text.Len()
	c.text.WriteString(s)
	return c.text.String()[start:]
}

func (c *cohort) topic(t transport.Topic) transport.Topic {
	return transport.Topic(c.string(string(t)))
}
