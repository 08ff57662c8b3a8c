package courier

import (
	"cmp"
	"slices"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
)

const (
	// groupTopics is how many content topics the history is asked for at a time.
	groupTopics = 100
	// groupSpan is how far apart the places may be from which the routes of a group
	// are read; a fourth of the distance is fine too.
	groupSpan = int64(10 * time.Minute)
)

// group are routes whose history is read together.
type group struct {
	since  int64
	codes  bool // contact codes, of which the newest count
	routes []*route
	topics []carrier.Topic
	byName map[carrier.Topic][]*route
	lied   bool      // places in it make no sense
	stands int64     // how far it was read
	calm   time.Time // what waits for it does so until then, if it does not come on
}

// on gives the routes of a content topic that a message at a place is for: those
// that were read up to later places have had it.
func (g *group) on(content carrier.Topic, at, overlap int64) []*route {
	var routes []*route
	for _, r := range g.byName[content] {
		if g.lied || at >= r.covered-overlap {
			routes = append(routes, r)
		}
	}
	return routes
}

// groupsOf puts routes together that are to be read from about the same place. All
// of one content topic and place are in one group.
func groupsOf(routes []*route, now int64, since func(*route) int64) []*group {
	type due struct {
		*route
		since, age int64
	}
	all := make([]due, 0, len(routes))
	for _, r := range routes {
		at := since(r)
		all = append(all, due{r, at, (now - at) / groupSpan})
	}
	slices.SortFunc(all, func(a, b due) int {
		code := func(r due) int {
			if r.kind == topic.KindContactCode {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(code(a), code(b)), cmp.Compare(a.age, b.age), cmp.Compare(a.content, b.content))
	})
	var groups []*group
	var last *group
	var newest int64 // place in the last group
	for _, r := range all {
		codes := r.kind == topic.KindContactCode
		fits := last != nil && last.codes == codes && newest-r.since <= max(groupSpan, (now-newest)/4)
		if fits && last.byName[r.content] == nil && len(last.topics) >= groupTopics {
			fits = false
		}
		if !fits {
			last = &group{since: r.since, codes: codes, byName: make(map[carrier.Topic][]*route)}
			newest = r.since
			groups = append(groups, last)
		}
		if last.byName[r.content] == nil {
			last.topics = append(last.topics, r.content)
		}
		last.byName[r.content] = append(last.byName[r.content], r.route)
		last.routes = append(last.routes, r.route)
		last.since = min(last.since, r.since)
		newest = max(newest, r.since)
	}
	return groups
}
