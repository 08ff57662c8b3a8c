package sessionactor

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
)

// ErrCorrupt: a stored session cannot have been written by this package.
var ErrCorrupt = fmt.Errorf("sessionactor: %w", persistence.ErrCorrupt)

// Reader reads records, those still on their way to the disk included.
type Reader interface {
	Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error
}

// Load reads all sessions of one peer installation.
func Load(ctx context.Context, from Reader, place Place) (Sessions, error) {
	var s Sessions
	var skipping []ID // those that may have skipped message keys
	err := from.Scan(ctx, place.sessions(), func(name persistence.Name, value []byte) error {
		id, err := idOf(name)
		if err != nil {
			return err
		}
		session, active, bare, err := decodeSession(id, value)
		if err != nil {
			return fmt.Errorf("%w: session %v: %w", ErrCorrupt, id, err)
		}
		if active {
			s.Active = id
		}
		if !bare {
			skipping = append(skipping, id)
		}
		s.List = append(s.List, session)
		return nil
	})
	if err != nil {
		return Sessions{}, err
	}
	slices.SortStableFunc(s.List, func(a, b Session) int { return cmp.Compare(a.Created, b.Created) })
	for _, id := range skipping {
		if err := s.loadSkipped(ctx, from, place, id); err != nil {
			return Sessions{}, err
		}
	}
	return s, nil
}

func (s *Sessions) loadSkipped(ctx context.Context, from Reader, place Place, id ID) error {
	var keys []ratchet.SkippedKey
	err := from.Scan(ctx, place.skippedKeys(id), func(_ persistence.Name, value []byte) error {
		k, err := decodeSkippedKey(value)
		if err != nil {
			return fmt.Errorf("%w: skipped key of session %v: %w", ErrCorrupt, id, err)
		}
		keys = append(keys, k)
		return nil
	})
	if err != nil || len(keys) == 0 {
		return err
	}
	slices.SortFunc(keys, func(a, b ratchet.SkippedKey) int { return cmp.Compare(a.Seq, b.Seq) })
	if s.Skipped == nil {
		s.Skipped = make(map[ID]*ratchet.Skipped)
	}
	s.Skipped[id] = ratchet.NewSkipped(keys)
	return nil
}

func idOf(name persistence.Name) (ID, error) {
	parts, err := name.Parts()
	if err != nil {
		return ID{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	last := parts[len(parts)-1]
	if len(last) != len(ID{}) {
		return ID{}, fmt.Errorf("%w: session id of %d bytes", ErrCorrupt, len(last))
	}
	return ID(last), nil
}
