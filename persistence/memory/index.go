package memory

import (
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

// from returns the names that start with prefix, in order.
func (x *index) from(prefix persistence.Name) []persistence.Name {
	var names []persistence.Name
	if len(x.chunks) == 0 {
		return nil
	}
	for c := x.chunkOf(prefix); c < len(x.chunks); c++ {
		at, _ := slices.BinarySearch(x.chunks[c], prefix)
		for _, name := range x.chunks[c][at:] {
			if !strings.HasPrefix(string(name), string(prefix)) {
				return names
			}
			names = append(names, name)
		}
	}
	return names
}
