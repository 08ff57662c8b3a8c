package topic

import (
	"container/list"

	"github.com/rookery-im/rookery/internal/secret"
)

// cache holds the keys that were used last.
type cache struct {
	limit int
	byUse list.List // of *cached, the last used one first
	keys  map[Digest]*list.Element
}

type cached struct {
	digest Digest
	key    secret.Key
}

func newCache(limit int) cache { return cache{limit: limit, keys: map[Digest]*list.Element{}} }

func (c *cache) get(digest Digest) (key secret.Key, found bool) {
	at, found := c.keys[digest]
	if !found {
		return secret.Key{}, false
	}
	c.byUse.MoveToFront(at)
	return entry(at).key, true
}

func (c *cache) hasRoom() bool { return len(c.keys) < c.limit }

// put adds a key that is not there, and drops the one that was not used for
// longest if there is no room.
func (c *cache) put(digest Digest, key *secret.Key) {
	if !c.hasRoom() {
		c.drop(c.byUse.Back())
	}
	c.keys[digest] = c.byUse.PushFront(&cached{digest, *key})
}

// clear drops all keys.
func (c *cache) clear() {
	for at := c.byUse.Front(); at != nil; at = c.byUse.Front() {
		c.drop(at)
	}
}

func (c *cache) drop(at *list.Element) {
	e := entry(at)
	delete(c.keys, e.digest)
	e.key.Wipe()
	c.byUse.Remove(at)
}

func entry(at *list.Element) *cached {
	e, _ := at.Value.(*cached)
	return e
}
