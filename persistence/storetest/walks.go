package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/persistence"
)

// after lists what ScanAfter shows, and the last name of it.
func (b *bench) after(name persistence.Name, limit int) (seen []string, last persistence.Name) {
	b.Helper()
	b.ok(b.store.ScanAfter(b.Context(), name, limit, func(name persistence.Name, value []byte) error {
		seen, last = append(seen, line(name, string(value))), name
		return nil
	}))
	return seen, last
}

var walks = map[string]func(*bench){
	"WalkInPiecesShowsAllOnce": func(b *bench) {
		for i := range 50 {
			b.apply(put(session(fmt.Sprint(i)), "v"), put(persistence.NewName(persistence.KindSkipped, []byte{byte(i)}), "v"))
		}
		want := b.scanned("")
		for _, limit := range []int{1, 7, 99, 100, 101, 1000} {
			var got []string
			for last := persistence.Name(""); ; {
				seen, next := b.after(last, limit)
				got = append(got, seen...)
				if len(seen) > limit {
					b.Fatalf("%d records, the limit is %d", len(seen), limit)
				}
				if len(seen) < limit {
					break
				}
				last = next
			}
			if !slices.Equal(got, want) {
				b.Fatalf("pieces of %d show %q, want %q", limit, got, want)
			}
		}
	},
	"WalkGoesOnAboveTheName": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("a", ""), "2"), put(session("\xff\xff"), "3"))
		for _, test := range []struct {
			after persistence.Name
			want  []string
		}{
			{"", []string{line(session("a"), "1"), line(session("a", ""), "2"), line(session("\xff\xff"), "3")}},
			{session("a"), []string{line(session("a", ""), "2"), line(session("\xff\xff"), "3")}},
			{session("a") + "\x00", []string{line(session("a", ""), "2"), line(session("\xff\xff"), "3")}},
			{session("b"), []string{line(session("\xff\xff"), "3")}}, // one that is not there
			{session("\xff\xff"), nil},
			{"\xff", nil},
		} {
			if got, _ := b.after(test.after, 10); !slices.Equal(got, test.want) {
				b.Errorf("after %s: %q, want %q", test.after, got, test.want)
			}
		}
	},
	"WalkShowsTheStateAtItsBeginning": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"), put(session("c"), "3"))
		var seen []string
		b.ok(b.store.ScanAfter(b.Context(), session("a"), 10, func(name persistence.Name, value []byte) error {
			if len(seen) == 0 {
				b.apply(put(session("c"), "new"), put(session("d"), "4"))
			}
			seen = append(seen, line(name, string(value)))
			return nil
		}))
		if want := []string{line(session("b"), "2"), line(session("c"), "3")}; !slices.Equal(seen, want) {
			b.Fatalf("walk shows %q, want %q", seen, want)
		}
	},
	"WalkSeesWhatCameBetweenItsPieces": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("c"), "3"))
		_, last := b.after("", 1)
		b.apply(put(session("b"), "2"), del(session("c")), put(session("d"), "4"))
		got, _ := b.after(last, 10)
		if want := []string{line(session("b"), "2"), line(session("d"), "4")}; !slices.Equal(got, want) {
			b.Fatalf("the second piece shows %q, want %q", got, want)
		}
	},
	// What is there all the time is seen once, whatever comes and goes around it.
	"WalkUnderWritesSeesWhatStays": func(b *bench) {
		const staying = 200
		for i := range staying {
			b.apply(put(session(fmt.Sprintf("%03d", i)), "stays"))
		}
		done := make(chan struct{})
		b.together(2, func(worker int) error {
			if worker == 0 {
				for i := 0; ; i++ {
					select {
					case <-done:
						return nil
					default:
					}
					// Same length: between the others.
					name := session(fmt.Sprintf("%03d", i%staying), "")
					batch := persistence.Batch{Records: []persistence.Record{put(name, "goes"), del(session(fmt.Sprintf("%03d", (i+7)%staying), ""))}}
					if err := b.store.Apply(b.Context(), batch); err != nil {
						return err
					}
				}
			}
			defer close(done)
			for range 5 {
				seen := 0
				last := persistence.Name("")
				for more := true; more; {
					more = false
					if err := b.store.ScanAfter(b.Context(), last, 16, func(name persistence.Name, value []byte) error {
						if name <= last {
							return fmt.Errorf("%s after %s", name, last)
						}
						if string(value) == "stays" {
							seen++
						}
						last, more = name, true
						return nil
					}); err != nil {
						return err
					}
				}
				if seen != staying {
					return fmt.Errorf("a walk saw %d of %d records that stay", seen, staying)
				}
			}
			return nil
		})
	},
	"WalkStopsAtTheCallersError": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		enough := errors.New("enough")
		calls := 0
		err := b.store.ScanAfter(b.Context(), "", 10, func(persistence.Name, []byte) error {
			calls++
			return enough
		})
		if err != enough || calls != 1 { //nolint:errorlint // the very error is promised
			b.Fatalf("got error %v after %d calls, want the caller's after 1", err, calls)
		}
	},
	"ContextEndsAWalk": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		ctx, cancel := context.WithCancel(b.Context())
		calls := 0
		err := b.store.ScanAfter(ctx, "", 10, func(persistence.Name, []byte) error {
			calls++
			cancel()
			return nil
		})
		b.is(err, context.Canceled)
		if calls != 1 {
			b.Fatalf("%d calls, want 1", calls)
		}
	},
}
