package storetest

import (
	"context"
	"fmt"

	"github.com/rookery-im/rookery/persistence"
)

var lifetimes = map[string]func(*bench){
	"RecordsOutlastReopening": func(b *bench) {
		for round := range 4 {
			var batch []persistence.Record
			for i := range 500 {
				batch = append(batch, put(session(fmt.Sprint(i)), fmt.Sprintf("%d-%d", round, i)))
			}
			b.apply(batch...)
			b.reopen()
			for i := range 500 {
				b.has(session(fmt.Sprint(i)), fmt.Sprintf("%d-%d", round, i))
			}
		}
	},
	"DeletionsOutlastReopening": func(b *bench) {
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		b.reopen()
		b.apply(del(session("a")))
		b.reopen()
		b.hasNot(session("a"))
		b.has(session("b"), "2")
	},
	// What was overwritten and ended must not come back with any reopening.
	"HistoryStaysPast": func(b *bench) {
		for round := range 8 {
			b.apply(put(session("changes"), fmt.Sprint(round)), put(session("goes"), fmt.Sprint(round)), put(session("rounds", fmt.Sprint(round)), ""))
			b.apply(del(session("goes")))
			b.reopen()
			b.has(session("changes"), fmt.Sprint(round))
			b.hasNot(session("goes"))
			if got := len(b.scanned(session("rounds"))); got != round+1 {
				b.Fatalf("%d rounds are there after %d", got, round+1)
			}
		}
	},
	// T09, and nothing happens to the store that is open.
	"OpenStoreIsNotOpenedAgain": func(b *bench) {
		b.apply(put(session("a"), "1"))
		if b.medium.Durable {
			_, err := b.medium.Open()
			b.is(err, persistence.ErrLocked)
		}
		b.apply(put(session("b"), "2"))
		b.reopen()
		b.has(session("a"), "1")
		b.has(session("b"), "2")
	},
	"ClosedStoreSaysSo": func(b *bench) {
		b.apply(put(session("a"), "1"))
		b.ok(b.store.Close())
		_, err := b.store.Get(b.Context(), session("a"))
		b.is(err, persistence.ErrClosed)
		b.is(b.store.Scan(b.Context(), "", func(persistence.Name, []byte) error { return nil }), persistence.ErrClosed)
		b.is(b.store.ScanAfter(b.Context(), "", 1, func(persistence.Name, []byte) error { return nil }), persistence.ErrClosed)
		b.is(b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(session("a"), "2")}}), persistence.ErrClosed)
		_, err = b.store.Own(b.Context(), alice)
		b.is(err, persistence.ErrClosed)
		_, err = b.store.OwnAll(b.Context(), []persistence.OwnerID{alice})
		b.is(err, persistence.ErrClosed)
	},
	"ClosingTwiceIsFine": func(b *bench) {
		b.ok(b.store.Close())
		b.ok(b.store.Close())
	},
	"CancelledContextChangesNothing": func(b *bench) {
		b.apply(put(session("a"), "1"))
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		b.is(b.store.Apply(ctx, persistence.Batch{Records: []persistence.Record{put(session("a"), "2")}}), context.Canceled)
		_, err := b.store.Get(ctx, session("a"))
		b.is(err, context.Canceled)
		b.is(b.store.Scan(ctx, "", func(persistence.Name, []byte) error { return nil }), context.Canceled)
		b.is(b.store.ScanAfter(ctx, "", 1, func(persistence.Name, []byte) error { return nil }), context.Canceled)
		b.has(session("a"), "1")
	},
}
