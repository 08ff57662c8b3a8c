package memory

import (
	"iter"
	"slices"
	"sort"
	"strings"

	"github.com/rookery-im/rookery/persistence"
)

// chunkSize bounds the names in one chunk: an insertion moves at most that many.
const chunkSize = 512

// index keeps names in ascending order: chunks of sorted names, themselves in
// order and never empty. A plain sorted slice would move megabytes for each
// record of a large simulation.
type index struct {
	chunks [][]persistence.Name
}

// chunkOf is the chunk in which name is or would go.
func (x *index) chunkOf(name persistence.Name) int {
	after := sort.Search(len(x.chunks), func(i int) bool { return x.chunks[i][0] > name })
	return max(after-1, 0)
}

func (x *index) insert(name persistence.Name) {
	if len(x.chunks) == 0 {
		x.chunks = [][]persistence.Name{{name}}
		return
	}
	c := x.chunkOf(name)
	at, found := slices.BinarySearch(x.chunks[c], name)
	if found {
		return
	}
	chunk := slices.Insert(x.chunks[c], at, name)
	x.chunks[c] = chunk
	if len(chunk) > chunkSize {
		half := len(chunk) / 2
		upper := slices.Clone(chunk[half:])
		clear(chunk[half:])
		x.chunks[c] = chunk[:half]
		x.chunks = slices.Insert(x.chunks, c+1, upper)
	}
}

func (x *index) remove(name persistence.Name) {
	if len(x.chunks) == 0 {
		return
	}
	c := x.chunkOf(name)
	at, found := slices.BinarySearch(x.chunks[c], name)
	if !found {
		return
	}
	x.chunks[c] = slices.Delete(x.chunks[c], at, at+1)
	if len(x.chunks[c]) == 0 {
		x.chunks = slices.Delete(x.chunks, c, c+1)
	}
}

// from gives the names that are not below first, in order.
func (x *index) from(first persistence.Name) iter.Seq[persistence.Name] {
	return func(yield func(persistence.Name) bool) {
		if len(x.chunks) == 0 {
			return
		}
		for c := x.chunkOf(first); c < len(x.chunks); c++ {
			at, _ := slices.BinarySearch(x.chunks[c], first)
			for _, name := range x.chunks[c][at:] {
				if !yield(name) {
					return
				}
			}
		}
	}
}

// below lists the names that start with prefix.
func (x *index) below(prefix persistence.Name) []persistence.Name {
	var names []persistence.Name
	for name := range x.from(prefix) {
		if !strings.HasPrefix(string(name), string(prefix)) {
			break
		}
		names = append(names, name)
	}
	return names
}

// after lists the first names above one, no more than limit.
func (x *index) after(name persistence.Name, limit int) []persistence.Name {
	var names []persistence.Name
	for next := range x.from(name) {
		if len(names) >= limit {
			break
		}
		if next != name {
			names = append(names, next)
		}
	}
	return names
}
