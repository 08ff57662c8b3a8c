package load

import "testing"

// What is lost, repeated and overtaken shows, message by message.
func TestLedgerKnowsLostRepeatedAndOvertaken(t *testing.T) {
	g := Graph{Ring, 4, 2}
	l := newLedger(g, PingPong, 2)
	link, ok := l.link(0, 1)
	if !ok {
		t.Fatal("neighbours have no link")
	}
	var heads []head
	for n := range uint32(6) {
		number, before := l.begin(link)
		if number != n {
			t.Fatalf("number %d, want %d", number, n)
		}
		heads = append(heads, head{number: number, before: before})
		if n != 1 {
			l.end(link, number)
		}
		if n == 1 { // its sending goes on while the next begins
			next, before := l.begin(link)
			if next != 2 || before != 1 {
				t.Fatalf("message %d, all before %d were durable", next, before)
			}
			heads = append(heads, head{number: next, before: before})
			l.end(link, next)
			l.end(link, number)
			break
		}
	}
	for range 2 { // 3 and 4
		number, before := l.begin(link)
		if before != number {
			t.Fatalf("message %d: all before %d were durable", number, before)
		}
		heads = append(heads, head{number: number, before: before})
		l.end(link, number)
	}
	l.fail(link, 4)
	for _, step := range []struct {
		device, message  int
		first, overtaken bool
	}{
		{0, 0, true, false},
		{0, 2, true, false},
		{0, 1, true, false}, // both were on their way
		{0, 1, false, false},
		{0, 3, true, false},
		{1, 3, true, false},
		{1, 0, true, true},
	} {
		first, overtaken := l.arrive(link, step.device, heads[step.message])
		if first != step.first || overtaken != step.overtaken {
			t.Errorf("%+v: first %v, overtaken %v", step, first, overtaken)
		}
	}
	// At device 1 messages 1 and 2 are missing; 4 was never sent.
	if lost := l.lost(); lost != 2 {
		t.Errorf("%d lost, want 2", lost)
	}
	if link, ok := l.link(0, 2); ok {
		t.Errorf("strangers have link %d", link)
	}
}

// The books have to be small beside a million sessions.
func TestLedgerTakesAFewTensOfBytesForAPair(t *testing.T) {
	g := Graph{Ring, 1000, 10}
	for s, most := range map[Scenario]int64{OneWay: 40, Cold: 40, PingPong: 80} {
		if per := newLedger(g, s, 1).size() / int64(g.Pairs()); per > most {
			t.Errorf("%s: %d bytes for a pair", s, per)
		}
	}
}
