package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

var scans = map[string]func(*bench){
	"ScanIsInOrderOfNames": func(b *bench) {
		for _, part := range []string{"m", "z", "a", "\xff", "\x00", "aa"} {
			b.apply(put(session(part), "v"))
		}
		// A length comes first, so a longer part follows all shorter ones.
		b.shows(session(), line(session("\x00"), "v"), line(session("a"), "v"), line(session("m"), "v"),
			line(session("z"), "v"), line(session("\xff"), "v"), line(session("aa"), "v"))
	},
	"ScanKeepsToItsPrefix": func(b *bench) {
		inside := []persistence.Name{session("b"), session("b", ""), session("b", "x"), session("b", "\xff")}
		outside := []persistence.Name{
			session("a"), session("c"), session("bb"), session("a", "b"), session(),
			persistence.NewName(persistence.KindSkipped, []byte("b")), persistence.NewName(persistence.KindInstallation, []byte("b")),
		}
		var want []string
		for _, name := range append(inside, outside...) {
			b.apply(put(name, "v"))
		}
		for _, name := range inside {
			want = append(want, line(name, "v"))
		}
		b.shows(session("b"), want...)
	},
	"ScanKeepsToAPrefixOfHighBytes": func(b *bench) {
		b.apply(put(session("\xff"), "1"), put(session("\xff", "\xff\xff"), "2"), put(session("\xff\xff"), "3"),
			put(persistence.NewName(persistence.KindSkipped), "4"))
		b.shows(session("\xff"), line(session("\xff"), "1"), line(session("\xff", "\xff\xff"), "2"))
		b.shows(session("\xff\xff"), line(session("\xff\xff"), "3"))
		b.shows("\xff\xff")
	},
	"ScanOfTheEmptyPrefixShowsAll": func(b *bench) {
		identity := persistence.NewName(persistence.KindIdentity, []byte("i"))
		b.apply(put(session("a"), "1"), put(identity, "2"))
		b.shows("", line(identity, "2"), line(session("a"), "1"))
	},
	"ScanOfNothingCallsNobody": func(b *bench) {
		b.apply(put(session("a"), "1"))
		b.shows(session("b"))
	},
	"ScanStopsAtTheCallersError": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		enough := errors.New("enough")
		calls := 0
		err := b.store.Scan(b.Context(), "", func(persistence.Name, []byte) error {
			calls++
			return enough
		})
		if err != enough || calls != 1 { //nolint:errorlint // the very error is promised
			b.Fatalf("got error %v after %d calls, want the caller's after 1", err, calls)
		}
	},
	"ScanShowsTheStateAtItsBeginning": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"), put(session("c"), "3"))
		var seen []string
		b.ok(b.store.Scan(b.Context(), session(), func(name persistence.Name, value []byte) error {
			if len(seen) == 0 {
				b.apply(del(session("b")), put(session("c"), "new"), put(session("d"), "4"))
				b.has(session("d"), "4")
			}
			seen = append(seen, line(name, string(value)))
			return nil
		}))
		want := []string{line(session("a"), "1"), line(session("b"), "2"), line(session("c"), "3")}
		if fmt.Sprint(seen) != fmt.Sprint(want) {
			b.Fatalf("scan shows %q, want %q", seen, want)
		}
	},
	"ScanOfAKindShowsThatKind": func(b *bench) {
		var want []string
		for kind := persistence.KindIdentity; kind <= persistence.KindKept; kind++ {
			if kind == persistence.KindFence || kind == persistence.KindHead {
				continue
			}
			name := persistence.NewName(kind, []byte("x"))
			b.apply(put(name, kind.String()))
			want = append(want, line(name, kind.String()))
			b.shows(persistence.NewName(kind), line(name, kind.String()))
		}
		b.shows("", want...)
	},
	"CallbackReadsAndScans": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		pairs := 0
		b.ok(b.store.Scan(b.Context(), session(), func(outer persistence.Name, _ []byte) error {
			b.shows(outer, b.scanned(outer)...)
			return b.store.Scan(b.Context(), session(), func(inner persistence.Name, value []byte) error {
				pairs++
				b.has(inner, string(value))
				return nil
			})
		}))
		if pairs != 4 {
			b.Fatalf("%d pairs, want 4", pairs)
		}
	},
	"ContextEndsAScan": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"), put(session("c"), "3"))
		ctx, cancel := context.WithCancel(b.Context())
		calls := 0
		err := b.store.Scan(ctx, "", func(persistence.Name, []byte) error {
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
