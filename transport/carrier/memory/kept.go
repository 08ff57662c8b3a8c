package memory

import (
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// page is how many messages are looked at in one go.
const page = 100

// kept is the history: messages with ascending places.
type kept struct {
	seed    uint64
	rules   History
	entries []entry
	failed  map[uint64]bool // where asking has ended, once
}

type entry struct {
	number uint64
	carrier.Received
}

// kinds of fates of a message in the history.
const (
	fateMiss = 1<<32 + iota
	fateLie
	fateCorrupt
	fateFail
)

// add tells whether the message is kept.
func (k *kept) add(number uint64, r carrier.Received) bool {
	f := fateOf(k.seed, number, fateMiss)
	if k.rules.Off || f.hits(k.rules.Misses) {
		return false
	}
	k.entries = append(k.entries, entry{number, r})
	k.forget(r.At)
	return true
}

// forget drops what is too old or too much.
func (k *kept) forget(now int64) {
	drop := max(0, len(k.entries)-k.rules.Count)
	if k.rules.Age > 0 {
		drop = max(drop, k.from(now-int64(k.rules.Age)))
	}
	for _, e := range k.entries[:drop] {
		delete(k.failed, e.number)
	}
	clear(k.entries[:drop]) // the rest of the array stays until append moves on
	k.entries = k.entries[drop:]
}

// from is the first entry at or after a place.
func (k *kept) from(at int64) int {
	i, _ := slices.BinarySearchFunc(k.entries, at, func(e entry, at int64) int {
		if e.At < at {
			return -1
		}
		return 1
	})
	return i
}

// ask gives the next page from a place on, of these topics, and the place after it.
// more is false if there is nothing else before until.
func (k *kept) ask(topics map[carrier.Topic]struct{}, since, until int64) (found []carrier.Received, next int64, more bool, err error) {
	start := k.from(since)
	entries := k.entries[start:min(start+page, len(k.entries))]
	for _, e := range entries {
		if e.At >= until {
			return found, since, false, nil
		}
		since = e.At + 1
		if _, ok := topics[e.Topic]; !ok {
			continue
		}
		if f := fateOf(k.seed, e.number, fateFail); f.hits(k.rules.Fails) && !k.failed[e.number] {
			k.failed[e.number] = true
			return found, since, false, carrier.ErrUnreachable
		}
		found = append(found, k.told(e))
	}
	return found, since, len(entries) == page, nil
}

// told is what somebody learns who asks for an entry.
func (k *kept) told(e entry) carrier.Received {
	r := e.Received
	if f := fateOf(k.seed, e.number, fateLie); f.hits(k.rules.Lies) {
		r.At += int64(f.upTo(2*time.Hour) - time.Hour)
	}
	if f := fateOf(k.seed, e.number, fateCorrupt); f.hits(k.rules.Corrupt) {
		r.Payload = f.corrupt(r.Payload)
	}
	return r
}
