package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/rookery-im/rookery/persistence"
)

var (
	alice = persistence.NewOwnerID([]byte("alice"), "1")
	bob   = persistence.NewOwnerID([]byte("bob"), "1")
)

func (b *bench) own(owner persistence.OwnerID, want uint64) {
	b.Helper()
	epoch, err := b.store.Own(b.Context(), owner)
	b.ok(err)
	if epoch != want {
		b.Fatalf("own gave epoch %d, want %d", epoch, want)
	}
}

func (b *bench) ownAll(owners []persistence.OwnerID, want ...uint64) {
	b.Helper()
	epochs, err := b.store.OwnAll(b.Context(), owners)
	b.ok(err)
	if !slices.Equal(epochs, want) {
		b.Fatalf("own all gave epochs %d, want %d", epochs, want)
	}
}

// fenced applies under fences and checks which of them is refused.
func (b *bench) fenced(want *persistence.FencedError, fences ...persistence.Fence) {
	b.Helper()
	err := b.store.Apply(b.Context(), persistence.Batch{Fences: fences, Records: []persistence.Record{put(session("fenced"), "1")}})
	b.is(err, persistence.ErrFenced)
	var got *persistence.FencedError
	if !errors.As(err, &got) || *got != *want {
		b.Fatalf("got %v, want %v", err, want)
	}
	b.hasNot(session("fenced"))
}

// The fences of T15: two holders of one installation's state.
var fences = map[string]func(*bench){
	"OwnCountsUpForEachOwner": func(b *bench) {
		b.own(alice, 1)
		b.own(alice, 2)
		b.own(bob, 1)
		b.own(alice, 3)
	},
	"PresentEpochPasses": func(b *bench) {
		b.own(alice, 1)
		b.own(bob, 1)
		b.ok(b.store.Apply(b.Context(), persistence.Batch{
			Fences:  []persistence.Fence{{Owner: alice, Epoch: 1}, {Owner: bob, Epoch: 1}, {Owner: alice, Epoch: 1}},
			Records: []persistence.Record{put(session("a"), "1")},
		}))
		b.has(session("a"), "1")
	},
	"OlderEpochIsFenced": func(b *bench) {
		b.own(alice, 1)
		b.own(alice, 2)
		b.fenced(&persistence.FencedError{Owner: alice, Have: 1, Stored: 2}, persistence.Fence{Owner: alice, Epoch: 1})
		b.fenced(&persistence.FencedError{Owner: alice, Have: 0, Stored: 2}, persistence.Fence{Owner: alice})
	},
	"EpochThatNobodyGaveIsFenced": func(b *bench) {
		b.own(alice, 1)
		b.fenced(&persistence.FencedError{Owner: alice, Have: 2, Stored: 1}, persistence.Fence{Owner: alice, Epoch: 2})
		b.fenced(&persistence.FencedError{Owner: bob, Have: 1, Stored: 0}, persistence.Fence{Owner: bob, Epoch: 1})
	},
	"EpochZeroPassesUntilSomeoneOwns": func(b *bench) {
		unowned := persistence.Batch{Fences: []persistence.Fence{{Owner: alice}}, Records: []persistence.Record{put(session("a"), "1")}}
		b.ok(b.store.Apply(b.Context(), unowned))
		b.own(alice, 1)
		b.is(b.store.Apply(b.Context(), unowned), persistence.ErrFenced)
	},
	"OneOldFenceRefusesTheBatch": func(b *bench) {
		b.own(alice, 1)
		b.own(bob, 1)
		b.own(bob, 2)
		b.fenced(&persistence.FencedError{Owner: bob, Have: 1, Stored: 2},
			persistence.Fence{Owner: alice, Epoch: 1}, persistence.Fence{Owner: bob, Epoch: 1})
		b.shows(session())
	},
	"RefusedBatchDeletesNothing": func(b *bench) {
		b.own(alice, 1)
		b.apply(put(session("a"), "1"), put(session("b"), "2"))
		err := b.store.Apply(b.Context(), persistence.Batch{
			Fences:  []persistence.Fence{{Owner: alice}},
			Records: []persistence.Record{del(session("a")), put(session("b"), "new"), put(session("c"), "3")},
		})
		b.is(err, persistence.ErrFenced)
		b.shows(session(), line(session("a"), "1"), line(session("b"), "2"))
	},
	"FencesAreCheckedWithoutRecords": func(b *bench) {
		b.own(alice, 1)
		b.ok(b.store.Apply(b.Context(), persistence.Batch{Fences: []persistence.Fence{{Owner: alice, Epoch: 1}}}))
		b.is(b.store.Apply(b.Context(), persistence.Batch{Fences: []persistence.Fence{{Owner: alice}}}), persistence.ErrFenced)
	},
	"FencesBelongToTheStore": func(b *bench) {
		b.own(alice, 1)
		for _, record := range []persistence.Record{put(persistence.FenceName(alice), "\x00\x00\x00\x00\x00\x00\x00\x09"), del(persistence.FenceName(alice))} {
			err := b.store.Apply(b.Context(), persistence.Batch{Records: []persistence.Record{put(session("a"), "1"), record}})
			b.is(err, persistence.ErrBadName)
		}
		b.hasNot(session("a"))
		b.own(alice, 2)
	},
	"FenceRecordHoldsTheEpoch": func(b *bench) {
		b.own(alice, 1)
		b.own(alice, 2)
		b.has(persistence.FenceName(alice), "\x00\x00\x00\x00\x00\x00\x00\x02")
	},
	"OwnershipOutlastsReopening": func(b *bench) {
		b.own(alice, 1)
		b.own(alice, 2)
		b.own(bob, 1)
		b.reopen()
		b.fenced(&persistence.FencedError{Owner: alice, Have: 1, Stored: 2}, persistence.Fence{Owner: alice, Epoch: 1})
		b.own(alice, 3)
		b.own(bob, 2)
	},
	"OwnAllCountsUpForEachOwner": func(b *bench) {
		b.own(alice, 1)
		b.ownAll([]persistence.OwnerID{bob, alice, bob}, 1, 2, 1)
		b.ownAll([]persistence.OwnerID{alice, bob}, 3, 2)
		b.own(alice, 4)
		b.own(bob, 3)
		b.ownAll(nil)
	},
	"OwnAllFencesOffWhoOwnedBefore": func(b *bench) {
		b.own(alice, 1)
		b.ownAll([]persistence.OwnerID{alice, bob}, 2, 1)
		b.fenced(&persistence.FencedError{Owner: alice, Have: 1, Stored: 2}, persistence.Fence{Owner: alice, Epoch: 1})
		b.fenced(&persistence.FencedError{Owner: bob, Have: 0, Stored: 1}, persistence.Fence{Owner: bob})
		b.ok(b.store.Apply(b.Context(), persistence.Batch{
			Fences:  []persistence.Fence{{Owner: alice, Epoch: 2}, {Owner: bob, Epoch: 1}},
			Records: []persistence.Record{put(session("a"), "1")},
		}))
		b.has(persistence.FenceName(alice), "\x00\x00\x00\x00\x00\x00\x00\x02")
	},
	"OwnAllOutlastsReopening": func(b *bench) {
		owners := make([]persistence.OwnerID, 3000)
		for i := range owners {
			owners[i] = persistence.NewOwnerID([]byte{byte(i), byte(i >> 8)}, "1")
		}
		epochs, err := b.store.OwnAll(b.Context(), owners)
		b.ok(err)
		for i, epoch := range epochs {
			if epoch != 1 {
				b.Fatalf("owner %d got epoch %d, want 1", i, epoch)
			}
		}
		b.reopen()
		for _, owner := range []persistence.OwnerID{owners[0], owners[1500], owners[2999]} {
			b.fenced(&persistence.FencedError{Owner: owner, Have: 0, Stored: 1}, persistence.Fence{Owner: owner})
			b.own(owner, 2)
		}
	},
	"OwnAllUnderACancelledContextTakesNothing": func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		_, err := b.store.OwnAll(ctx, []persistence.OwnerID{alice, bob})
		b.is(err, context.Canceled)
		b.ownAll([]persistence.OwnerID{alice, bob}, 1, 1)
	},
	"OwnUnderACancelledContextTakesNothing": func(b *bench) {
		b.own(alice, 1)
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		_, err := b.store.Own(ctx, alice)
		b.is(err, context.Canceled)
		b.own(alice, 2)
	},
}
