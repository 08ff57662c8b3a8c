package standin

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

const (
	defaultPage = 20
	largestPage = 100
	// maxTopicsAsked is how many topics a question may name.
	maxTopicsAsked = 10
)

// archive is the store of a node, sorted by time and then by hash.
type archive struct {
	rows []*row
}

// row is a message where it is kept: at the sender's time, which may be absent.
type row struct {
	*message
	at, received int64
}

func (a *archive) put(m *message, now time.Time) {
	r := &row{message: m, at: m.time(), received: m.time()}
	if r.received == 0 {
		r.received = now.UnixNano()
	}
	i, found := slices.BinarySearchFunc(a.rows, r, compareRows)
	if !found {
		a.rows = slices.Insert(a.rows, i, r)
	}
}

func compareRows(a, b *row) int {
	return cmp.Or(cmp.Compare(a.at, b.at), bytes.Compare(a.hash[:], b.hash[:]))
}

// question is what somebody asks of an archive.
type question struct {
	pubsub       string
	topics       []string
	since, until int64 // both included, 0: no bound
	size         int
	descending   bool
	after        *row // the last row that is known
}

// page is what the archive answers; next is where to go on, nil at the end.
type page struct {
	rows []*row
	next *row
}

func (q *question) wants(r *row) bool {
	return (q.pubsub == "" || r.pubsub == q.pubsub) &&
		(len(q.topics) == 0 || slices.Contains(q.topics, r.topic)) &&
		(q.since == 0 || r.at >= q.since) && (q.until == 0 || r.at <= q.until)
}

func (a *archive) ask(q *question) page {
	var p page
	size := q.size
	if size <= 0 {
		size = defaultPage
	}
	size = min(size, largestPage)
	step, i := 1, 0
	if q.since > 0 {
		i, _ = slices.BinarySearchFunc(a.rows, q.since, func(r *row, at int64) int { return cmp.Compare(r.at, at) })
	}
	if q.descending {
		step, i = -1, len(a.rows)-1
	}
	if q.after != nil {
		at, found := slices.BinarySearchFunc(a.rows, q.after, compareRows)
		if i = at; found || q.descending {
			i = at + step
		}
	}
	for ; i >= 0 && i < len(a.rows); i += step {
		r := a.rows[i]
		if step > 0 && q.until > 0 && r.at > q.until {
			break
		}
		if !q.wants(r) {
			continue
		}
		if len(p.rows) == size {
			p.next = p.rows[size-1]
			break
		}
		p.rows = append(p.rows, r)
	}
	if q.descending {
		slices.Reverse(p.rows)
	}
	return p
}

// find finds the row that a cursor names.
func (a *archive) find(is func(*row) bool) *row {
	i := slices.IndexFunc(a.rows, is)
	if i < 0 {
		return nil
	}
	return a.rows[i]
}
