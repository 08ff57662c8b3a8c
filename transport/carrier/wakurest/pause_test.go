package wakurest

import (
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// TestBackoffGrowsWithinItsBounds, and differs from time to time.
func TestBackoffGrowsWithinItsBounds(t *testing.T) {
	b := backoff{least: 100 * time.Millisecond, most: 15 * time.Second}
	want := b.least
	same := true
	for range 20 {
		got := b.failed()
		if got < want/2 || got > want {
			t.Errorf("pause of %s, want %s to %s", got, want/2, want)
		}
		same = same && got == want/2
		want = min(want*2, b.most)
	}
	if same {
		t.Error("the pauses do not differ by chance")
	}
	b.worked()
	if got := b.failed(); got > b.least {
		t.Errorf("pause of %s after a success", got)
	}
}

// TestPaceFollowsWhatIsRead: at once if there is much, soon if there is some.
func TestPaceFollowsWhatIsRead(t *testing.T) {
	p := pace{least: 10 * time.Millisecond, most: 200 * time.Millisecond}
	var idle time.Duration
	for range 20 {
		next := p.read(0, 50)
		if next < idle {
			t.Errorf("idle: %s after %s", next, idle)
		}
		idle = next
	}
	if idle != p.most {
		t.Errorf("idle for long: %s", idle)
	}
	if next := p.read(1, 50); next != p.most/2 {
		t.Errorf("one message: %s", next)
	}
	if next := p.read(13, 50); next != 0 {
		t.Errorf("a quarter of the cache: %s", next)
	}
	if next := p.read(1, 50); next != p.least {
		t.Errorf("after that: %s", next)
	}
}

// TestWholeAnswerMayTakeSeveralTimeouts: one that comes slowly is not silence.
func TestWholeAnswerMayTakeSeveralTimeouts(t *testing.T) {
	for timeout, want := range map[time.Duration]time.Duration{0: time.Minute, 500 * time.Millisecond: 3 * time.Second} {
		o, err := Options{URL: "http://127.0.0.1:1", Timeout: timeout}.withDefaults()
		if err != nil || newNode(o).inAll != want {
			t.Errorf("timeout of %s: %s in all, want %s, %v", timeout, o.inAll, want, err)
		}
	}
}

// TestGapsAreGathered: the earliest is told, and not too often.
func TestGapsAreGathered(t *testing.T) {
	now := time.Now()
	var g gaps
	if _, due := g.take(now); due {
		t.Error("nothing is missing")
	}
	g.note(now)
	g.note(now.Add(-time.Minute))
	g.note(now.Add(time.Minute))
	if since, due := g.take(now); !due || since != now.Add(-time.Minute-slack).UnixNano() {
		t.Errorf("since %d, due %t", since, due)
	}
	g.note(now)
	if _, due := g.take(now.Add(gapEvery / 2)); due {
		t.Error("told too soon")
	}
	if _, due := g.take(now.Add(gapEvery)); !due {
		t.Error("not told")
	}
	g.note(time.Unix(0, 0))
	if since, due := g.take(now.Add(3 * gapEvery)); !due || since != 1 {
		t.Errorf("since %d, due %t", since, due)
	}
}

// TestQuestionsNameWhatNodesTake: ten topics, and not too long.
func TestQuestionsNameWhatNodesTake(t *testing.T) {
	var topics []carrier.Topic
	for i := range 95 {
		topic := make([]byte, 1+i*2)
		for j := range topic {
			topic[j] = "x/"[j%2]
		}
		topics = append(topics, carrier.Topic(topic))
	}
	n := 0
	for _, part := range divide(topics) {
		length := 0
		for _, topic := range part {
			if topic != topics[n] {
				t.Fatalf("topic %d is missing", n)
			}
			n++
			length += len(topic)
		}
		if len(part) > perQuestion || length > perQuestionBytes || len(part) == 0 {
			t.Errorf("%d topics of %d bytes", len(part), length)
		}
	}
	if n != len(topics) {
		t.Errorf("%d topics, want %d", n, len(topics))
	}
}
