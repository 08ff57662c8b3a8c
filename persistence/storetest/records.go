package storetest

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/persistence"
)

var records = map[string]func(*bench){
	"MissingRecordIsNotFound": func(b *bench) {
		b.hasNot(session("a"))
	},
	"GetReturnsWhatWasApplied": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		b.has(session("a"), "1")
		b.has(session("b"), "2")
	},
	"LaterBatchReplaces": func(b *bench) {
		b.apply(put(session("a"), "1"))
		b.apply(put(session("a"), "longer"))
		b.has(session("a"), "longer")
		b.apply(put(session("a"), "s"))
		b.has(session("a"), "s")
	},
	"LastWriteOfABatchHolds": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("a"), "2"), put(session("b"), "1"), del(session("b")),
			del(session("c")), put(session("c"), "3"))
		b.has(session("a"), "2")
		b.hasNot(session("b"))
		b.has(session("c"), "3")
	},
	"DeleteEndsARecord": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		b.apply(del(session("a")))
		b.hasNot(session("a"))
		b.shows(session(), line(session("b"), "2"))
	},
	"DeleteOfAMissingRecordIsFine": func(b *bench) {
		b.apply(del(session("a")))
		b.hasNot(session("a"))
	},
	"EmptyValueIsAValue": func(b *bench) {
		b.apply(put(session("a"), ""), persistence.Record{Name: session("b")})
		b.has(session("a"), "")
		b.has(session("b"), "")
		b.shows(session(), line(session("a"), ""), line(session("b"), ""))
	},
	"EmptyBatchIsFine": func(b *bench) {
		b.apply()
		b.shows("")
	},
	"BigValue": func(b *bench) {
		big := strings.Repeat("0123456789abcdef", 20<<20/16)
		b.apply(put(session("big"), big), put(session("small"), "1"))
		b.has(session("big"), big)
		b.reopen()
		b.has(session("big"), big)
		b.has(session("small"), "1")
	},
	"BigBatch": func(b *bench) {
		var batch []persistence.Record
		for i := range 10_000 {
			batch = append(batch, put(session(fmt.Sprint(i)), fmt.Sprint(-i)))
		}
		b.apply(batch...)
		b.reopen()
		if got := len(b.scanned(session())); got != len(batch) {
			b.Fatalf("%d records, want %d", got, len(batch))
		}
		b.has(session("9999"), "-9999")
	},
	"AnyBytesInNames": func(b *bench) {
		names := []persistence.Name{session(), session(""), session("", ""), session("\x00"), session("\xff\xff"), session("\x00\x01a"), session("\xff", "")}
		for i, name := range names {
			b.apply(put(name, fmt.Sprint(i)))
		}
		for i, name := range names {
			b.has(name, fmt.Sprint(i))
		}
	},
	"ReturnedSlicesAreTheCallers": func(b *bench) {
		b.apply(put(session("a"), "keep"))
		value, err := b.store.Get(b.Context(), session("a"))
		b.ok(err)
		clear(value)
		b.ok(b.store.Scan(b.Context(), "", func(_ persistence.Name, value []byte) error {
			clear(value)
			return nil
		}))
		b.has(session("a"), "keep")
	},
	"AppliedSlicesAreCopied": func(b *bench) {
		value := []byte("keep")
		b.apply(persistence.Record{Name: session("a"), Value: value})
		clear(value)
		b.has(session("a"), "keep")
	},
	"BadNamesRefuseTheWholeBatch": func(b *bench) {
		for _, bad := range []persistence.Name{"", "\x00", "\x7f", "\x05\x00", "\x05\x00\x02a", session("a") + "\x00"} {
			err := b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(session("good"), "1"), put(bad, "1")}})
			b.is(err, persistence.ErrBadName)
		}
		b.hasNot(session("good"))
		b.shows("")
	},
	"MissingRecordIsNamed": func(b *bench) {
		_, err := b.store.Get(b.Context(), session("a"))
		var told *persistence.RecordError
		if !errors.As(err, &told) || told.Name != session("a") || told.Op != "get" {
			b.Fatalf("got %v, want an error that names the record", err)
		}
	},
	// The promise is for whoever gathers batches: one that is not kept makes no
	// difference here.
	"NewMakesNoDifference": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "1"))
		over, end, fresh := put(session("a"), "2"), del(session("b")), put(session("c"), "3")
		over.New, end.New, fresh.New = true, true, true
		b.apply(over, end, fresh)
		b.has(session("a"), "2")
		b.hasNot(session("b"))
		b.has(session("c"), "3")
	},
	"LongNames": func(b *bench) {
		long := strings.Repeat("n", 1<<16-1)
		b.apply(put(session(long), "1"), put(session(long, long), "2"), put(session(long[1:]), "3"))
		b.reopen()
		b.has(session(long), "1")
		b.has(session(long, long), "2")
		b.has(session(long[1:]), "3")
		b.shows(session(long), line(session(long), "1"), line(session(long, long), "2"))
	},
	"NamesThatAreTheStoresOwnAreRefused": func(b *bench) {
		for _, kind := range []persistence.Kind{persistence.KindFence, persistence.KindHead} {
			err := b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(session("a"), "1"), put(persistence.NewName(kind), "1")}})
			b.is(err, persistence.ErrBadName)
		}
		b.hasNot(session("a"))
	},
	// A model in a map says what every read must show, with a reopening now and
	// then.
	"RandomHistoryMatchesAModel": func(b *bench) {
		for seed := range uint64(4) {
			randomHistory(b, seed)
		}
	},
}

func randomHistory(b *bench, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	model := make(map[persistence.Name]string)
	for _, name := range []string{"a", "b"} { // what an earlier seed has left
		b.ok(b.store.Scan(b.Context(), session(name), func(name persistence.Name, _ []byte) error {
			b.apply(del(name))
			return nil
		}))
	}
	for step := range 150 {
		var batch []persistence.Record
		for range random.IntN(8) {
			name := session(string("ab"[random.IntN(2)]), string(rune('a'+random.IntN(12))))
			if random.IntN(3) == 0 {
				batch = append(batch, del(name))
				delete(model, name)
				continue
			}
			value := fmt.Sprintf("%d-%d", step, len(batch))
			batch = append(batch, put(name, value))
			model[name] = value
		}
		b.apply(batch...)
		if random.IntN(40) == 0 {
			b.reopen()
		}
		for _, prefix := range []persistence.Name{"", session("a"), session("b")} {
			var want []string
			for _, name := range slices.Sorted(maps.Keys(model)) {
				if strings.HasPrefix(string(name), string(prefix)) {
					want = append(want, line(name, model[name]))
				}
			}
			if got := b.scanned(prefix); !slices.Equal(got, want) {
				b.Fatalf("seed %d step %d (go test -run %s): scan of %s shows %q, want %q", seed, step, b.Name(), prefix, got, want)
			}
		}
	}
}
