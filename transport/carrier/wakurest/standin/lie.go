package standin

import (
	"fmt"
	"net/http"
	"slices"
)

// Lie is a way in which a node answers wrongly about its history.
type Lie uint8

// The lies.
const (
	Honest         Lie = iota
	SamePage           // the first page, and a cursor, again and again
	SameCursor         // the right pages, with a cursor that leads back to where it came from
	TwoCursors         // two pages of one instant that lead to each other
	NoPage             // nothing, and a cursor
	EndlessInstant     // ever new messages of one instant
	BeforeRange        // messages of before what was asked for
	AfterRange         // messages of after it
	Backwards          // pages from the end to the start
	Shuffled           // a page whose messages are in another order: no lie that harms
	ForgetsCursor      // nothing after any cursor, as if its message was dropped
	RefusesCursor      // 400 for any cursor
	RestartsCursor     // everything from the start after any cursor
	NoData             // hashes without messages
	HugePage           // far more than was asked for
	OtherTopics        // messages of topics that nobody has asked for
	NotJSON            // a text
	WrongJSON          // another form
	RefusesInside      // 200 that says 503 inside
)

// lied is what an archive answers, or what the node says instead.
func (n *Node) lied(q *question) (p page, instead *answer) {
	say := func(status int, text string) *answer {
		a := n.text(status, text)
		return &a
	}
	after := q.after
	switch n.lie {
	case SamePage, RestartsCursor, TwoCursors, EndlessInstant:
		q.after = nil
	case BeforeRange, AfterRange:
		q.since, q.until, q.after = 0, 0, nil
	case Backwards:
		q.descending = true
	case HugePage:
		q.size = largestPage
	case NotJSON:
		return p, say(http.StatusOK, "it works!")
	case WrongJSON:
		return p, say(http.StatusOK, `{"messages":{"a":1},"cursor":7,"paginationCursor":true}`)
	case RefusesInside:
		return p, say(http.StatusOK, `{"requestId":"","statusCode":503,"statusDesc":"SERVICE_UNAVAILABLE: storage is busy","messages":[]}`)
	case RefusesCursor:
		if after != nil {
			return p, say(http.StatusBadRequest, "illegal base64 data at input byte 7")
		}
	case OtherTopics:
		q.topics = nil
	default: // begins as the truth does
	}
	p = n.archive.ask(q)
	if len(p.rows) == 0 {
		return p, nil
	}
	last := p.rows[len(p.rows)-1]
	switch n.lie {
	case SamePage, BeforeRange, AfterRange:
		p.next = last
	case SameCursor:
		if p.next = after; after == nil {
			p.next = last
		}
	case TwoCursors:
		p.rows = n.invented(last, 2)
		p.next = p.rows[0]
		if after != nil && after.hash == p.next.hash {
			p.next = p.rows[1]
		}
	case NoPage:
		p.rows, p.next = nil, last
	case EndlessInstant:
		p.rows = n.invented(last, q.size)
		p.next = p.rows[len(p.rows)-1]
	case Shuffled:
		p.rows = slices.Clone(p.rows)
		slices.Reverse(p.rows)
	case ForgetsCursor:
		if after != nil {
			return page{}, nil
		}
	case HugePage:
		for len(p.rows) < 50*largestPage {
			p.rows = append(p.rows, p.rows[:largestPage]...)
		}
	default: // wrong enough
	}
	return p, nil
}

// invented are messages that nobody has sent. Two are kept, so that their cursors are
// known.
func (n *Node) invented(like *row, count int) []*row {
	rows := make([]*row, count)
	for i := range rows {
		m := *like.message
		number := i
		if n.lie == EndlessInstant {
			n.turn++
			number = n.turn
		}
		m.payload = fmt.Appendf(nil, "invented %d", number)
		rows[i] = &row{message: m.finish(), at: like.at, received: like.received}
		if n.lie == TwoCursors {
			n.archive.put(&m, n.o.Now())
		}
	}
	return rows
}
