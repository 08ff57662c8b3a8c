package persistence_test

import (
	"testing"

	"github.com/rookery-im/rookery/persistence"
)

// counted is a content that counts how often it is encoded.
type counted struct {
	text    string
	encoded *int
}

func (c counted) AppendValue(b []byte) []byte {
	*c.encoded++
	return append(b, c.text...)
}

func (c counted) ValueSize() int { return len(c.text) }

// Of a record that is written again before it reaches the disk, only the last
// content is encoded; readers see the newest one before it is durable.
func TestContentThatIsReplacedIsNeverEncoded(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	write := func(label, text string, encoded *int) {
		p.commit(stream, label, persistence.Record{Name: session("a"), Content: counted{text, encoded}})
	}
	var first, last int
	release := p.hold()
	write("first", "1", &first)
	write("last", "2", &last)
	if first+last != 0 {
		t.Errorf("encoded %d and %d times before anybody wanted it", first, last)
	}
	p.reads(session("a"), "2")
	last = 0
	release()
	p.expect(result{"held", nil}, result{"first", nil}, result{"last", nil})
	if first != 0 || last != 1 {
		t.Errorf("the first was encoded %d times, the last %d times; want 0 and 1", first, last)
	}
	p.reads(session("a"), "2")
	p.scans("", "session/a=2", "session/held=")
}
