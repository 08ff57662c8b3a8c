package standin

import "slices"

// buffer is where a go-waku node puts messages for whoever reads next.
type buffer struct {
	messages []*message
}

// cache is where an nwaku node does: one for all, that drops the oldest.
type cache struct {
	names    []string // shards, or topics for filter
	messages []*message
}

func (c *cache) has(name string) bool { return slices.Contains(c.names, name) }

func (c *cache) subscribe(name string) {
	if !c.has(name) {
		c.names = append(c.names, name)
	}
}

func (c *cache) unsubscribe(name string) {
	c.names = slices.DeleteFunc(c.names, func(n string) bool { return n == name })
	c.take(name)
}

// of tells whether a message belongs to a name.
func of(m *message, name string) bool { return m.pubsub == name || m.topic == name }

func (c *cache) add(m *message) {
	if !c.has(m.pubsub) && !c.has(m.topic) {
		return
	}
	oldest := 0
	for i, other := range c.messages {
		if other.hash == m.hash {
			return
		}
		if other.time() < c.messages[oldest].time() {
			oldest = i
		}
	}
	if len(c.messages) >= nwakuCapacity {
		c.messages = slices.Delete(c.messages, oldest, oldest+1)
	}
	c.messages = append(c.messages, m)
}

func (c *cache) take(name string) (taken []*message) {
	c.messages = slices.DeleteFunc(c.messages, func(m *message) bool {
		if of(m, name) {
			taken = append(taken, m)
			return true
		}
		return false
	})
	return taken
}
