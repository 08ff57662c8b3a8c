package sealing

import (
	"context"
	"time"

	"github.com/rookery-im/rookery/persistence"
)

// Stats says what is in a store. It is put together in one walk beside the
// traffic, so its numbers need not be of one moment.
type Stats struct {
	Kinds  []KindStats  // in ascending order, without empty ones; the head is not counted
	Epochs []EpochStats // oldest first
	// Commits is the number of batches since the store was made.
	Commits uint64
	// Recovery is the number of the last recovery, 0 for none; Pending says that
	// no new start has been made for it.
	Recovery uint64
	Pending  bool
	// Clean says that the store was closed in order and not opened for writing since:
	// no key that there is opens anything but live records.
	Clean bool
}

// KindStats counts the records of one kind. Bytes are those of names and values
// as they are handed to the store below.
type KindStats struct {
	Kind    persistence.Kind
	Records uint64
	Bytes   uint64
}

// EpochStats counts the records that are sealed under one epoch.
type EpochStats struct {
	ID      uint32
	Created time.Time
	Records uint64
}

// Stats walks over all records without opening them. A value that is no sealed
// one is an error, as Get would give it.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	if err := s.enter(ctx, "stats"); err != nil {
		return Stats{}, err
	}
	defer s.calls.Done()
	kinds := make([]KindStats, 1<<8)
	under := make(map[uint32]uint64)
	after, seen := persistence.Name(""), stepWidth
	for seen == stepWidth {
		seen = 0
		err := s.inner.ScanAfter(ctx, after, stepWidth, func(name persistence.Name, value []byte) error {
			seen++
			after = name
			kind := name.Kind()
			if kind == persistence.KindHead {
				return nil
			}
			kinds[kind].Kind = kind
			kinds[kind].Records++
			kinds[kind].Bytes += uint64(len(name) + len(value))
			if kind == persistence.KindFence {
				return nil
			}
			epoch, err := epochOf(value)
			if err != nil {
				return corrupt("scan", name, err)
			}
			under[epoch]++
			return nil
		})
		if err != nil {
			return Stats{}, err
		}
	}
	var stats Stats
	for _, kind := range kinds {
		if kind.Records > 0 {
			stats.Kinds = append(stats.Kinds, kind)
		}
	}
	for _, epoch := range s.ring.Epochs() {
		stats.Epochs = append(stats.Epochs, EpochStats{ID: epoch.ID, Created: epoch.Created, Records: under[epoch.ID]})
	}
	s.write.Lock()
	defer s.write.Unlock()
	stats.Commits, stats.Recovery, stats.Pending, stats.Clean = s.head.counter, s.head.recovery, s.head.pending, s.head.clean
	return stats, nil
}
