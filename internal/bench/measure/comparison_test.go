package measure

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// rounds is a way whose turns take what is given, in turn.
func rounds(name string, all ...Figures) Way {
	i := 0
	return Way{Name: name, Turn: func(context.Context, time.Duration) (Figures, error) {
		i++
		return all[i-1], nil
	}}
}

func opened(ways ...Way) func(context.Context) (Opened, error) {
	return func(context.Context) (Opened, error) { return Opened{Ways: ways}, nil }
}

// Ratios are taken within each round: the medians of 10 and 20, and of 5 and 16,
// have another one.
func TestRatiosAreTakenWithinRounds(t *testing.T) {
	c := Comparison{ID: "a", Basis: Processor, Open: opened(
		rounds(Rookery, Figures{Operations: 2, Processor: 20}, Figures{Operations: 1, Processor: 20, Allocations: 4}),
		rounds("floor", Figures{Operations: 1, Processor: 5}, Figures{Operations: 1, Processor: 16}),
	)}
	r, err := c.Run(t.Context(), Settings{Rounds: 2})
	if err != nil {
		t.Fatal(err)
	}
	own, floor := r.Own(), r.Ways[1]
	if own.Nanoseconds != 15 || own.Times != 1 || own.Allocations != 2 {
		t.Errorf("own: %+v", own)
	}
	if floor.Nanoseconds != 10.5 || floor.Times != (10.0/5+20.0/16)/2 {
		t.Errorf("floor: %+v", floor)
	}
}

func TestBasisChoosesTheTime(t *testing.T) {
	f := Figures{Operations: 10, Elapsed: 1000, Processor: 500, Wakes: 15}
	for basis, want := range map[Basis]float64{Clock: 100, Processor: 50} {
		r, err := Comparison{ID: "a", Basis: basis, Open: opened(rounds(Rookery, f))}.Run(t.Context(), Settings{Rounds: 1})
		if err != nil || r.Own().Nanoseconds != want || r.Own().ProcessorNanoseconds != 50 || r.Own().Wakes != 1.5 {
			t.Errorf("%s: %+v, %v", basis, r, err)
		}
	}
}

// The ways of a round follow each other, and all is closed at the end.
func TestWaysTakeTurns(t *testing.T) {
	var order strings.Builder
	way := func(name string) Way {
		return Way{Name: name, Turn: func(context.Context, time.Duration) (Figures, error) {
			order.WriteString(name)
			return Figures{Operations: 1, Elapsed: 1}, nil
		}}
	}
	c := Comparison{Basis: Clock, Open: func(context.Context) (Opened, error) {
		return Opened{Ways: []Way{way("a"), way("b")}, Close: func() error { order.WriteString("."); return nil }}, nil
	}}
	for settings, want := range map[Settings]string{{Rounds: 3}: "ababab.", {Rounds: 2, Alone: true}: "aa."} {
		order.Reset()
		if _, err := c.Run(t.Context(), settings); err != nil || order.String() != want {
			t.Errorf("%+v: %q, %v; want %q", settings, order.String(), err, want)
		}
	}
}

func TestRunThatFails(t *testing.T) {
	broken := errors.New("broken")
	fails := Way{Name: "b", Turn: func(context.Context, time.Duration) (Figures, error) { return Figures{}, broken }}
	for name, c := range map[string]struct {
		open func(context.Context) (Opened, error)
		want error
	}{
		"opening": {func(context.Context) (Opened, error) { return Opened{}, broken }, broken},
		"a way":   {opened(rounds(Rookery, Figures{Operations: 1, Elapsed: 1}), fails), broken},
		"closing": {func(context.Context) (Opened, error) {
			return Opened{Ways: []Way{rounds(Rookery, Figures{Operations: 1, Elapsed: 1})}, Close: func() error { return broken }}, nil
		}, broken},
		"no operation": {opened(rounds(Rookery, Figures{Elapsed: 1})), errNothing},
		"no time":      {opened(rounds(Rookery, Figures{Operations: 1})), errNothing},
	} {
		if _, err := (Comparison{Basis: Clock, Open: c.open}).Run(t.Context(), Settings{Rounds: 1}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestRunEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	closed := false
	c := Comparison{Basis: Clock, Open: func(context.Context) (Opened, error) {
		way := Each(Rookery, func() error { cancel(); return nil })
		return Opened{Ways: []Way{way}, Close: func() error { closed = true; return nil }}, nil
	}}
	if _, err := c.Run(ctx, Settings{Rounds: 1, Turn: time.Hour}); !errors.Is(err, context.Canceled) || !closed {
		t.Errorf("%v, closed %t", err, closed)
	}
}

// A way of single operations does them until the turn is long enough, and says how
// many there were.
func TestEachCountsItsOperations(t *testing.T) {
	calls := 0
	f, err := Each("sleep", func() error { calls++; time.Sleep(10 * time.Microsecond); return nil }).Turn(t.Context(), 5*time.Millisecond)
	if err != nil || f.Operations < 1 || f.Operations > calls || f.Elapsed < 5*time.Millisecond*7/10 {
		t.Errorf("%+v of %d calls, %v", f, calls, err)
	}
	broken := errors.New("broken")
	if _, err := Each("breaks", func() error { return broken }).Turn(t.Context(), time.Hour); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 2, 6, 1}, 4}} {
		if got := middle(c.all); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
}

func TestTextHasTheOwnWayAndTheOthers(t *testing.T) {
	all := []Result{
		{Title: "encrypt", Basis: Processor, Ways: []WayResult{{Name: Rookery, Nanoseconds: 1320, Times: 1}, {Name: "floor", Nanoseconds: 1200, Times: 1.1}}},
		{Title: "pairs", Basis: Clock, Wanted: 0.2, Ways: []WayResult{{Name: Rookery, Nanoseconds: 40_000, Times: 1, Batches: 7}, {Name: "bare", Nanoseconds: 2000, Times: 20}}},
	}
	var b strings.Builder
	if err := WriteText(&b, all); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"encrypt", "1.32 µs", "floor", "1.20 µs", "1.10 times", "25000/s", "500000/s", "5 %, wanted 20 %", "7 batches"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestFiguresHaveTheDigitsTheyAreWorth(t *testing.T) {
	for got, want := range map[string]string{
		Micros(1_234): "1.23", Micros(12_345): "12.3", Micros(1_234_567): "1235",
		Times(0.01234): "0.0123", Times(1.234): "1.23", Times(123.4): "123",
		Share(0.043): "4 %", Share(15.12): "15.1x",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
