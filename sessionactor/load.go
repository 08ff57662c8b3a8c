package sessionactor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/ratchet"
)

// ErrCorrupt: a stored session cannot have been written by this package.
var ErrCorrupt = fmt.Errorf("sessionactor: %w", persistence.ErrCorrupt)

// Reader reads records, those still on their way to the disk included.
type Reader interface {
	Get(ctx context.Context, name persistence.Name) ([]byte, error)
	Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error
}

// Load reads all sessions of one peer installation. active is the one that was in use
// when somebody looked last: if it still is, it names the others, and nothing has to be
// searched for. Zero if that is not known.
func Load(ctx context.Context, from Reader, place Place, active ID) (Sessions, error) {
	l := loading{from: from, place: place}
	found, err := l.named(ctx, active)
	if err == nil && !found {
		err = l.all(ctx)
	}
	if err != nil {
		return Sessions{}, err
	}
	s := l.sessions
	slices.SortFunc(s.List, func(a, b *Session) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, id := range l.skipping {
		if err := s.loadSkipped(ctx, from, place, id); err != nil {
			return Sessions{}, err
		}
	}
	return s, nil
}

// loading is what was read so far.
type loading struct {
	from     Reader
	place    Place
	sessions Sessions
	skipping []ID // those that may have skipped message keys
}

// all searches for the sessions.
func (l *loading) all(ctx context.Context) error {
	l.sessions, l.skipping = Sessions{}, nil
	return l.from.Scan(ctx, l.place.sessions(), func(name persistence.Name, value []byte) error {
		id, err := idOf(name)
		if err != nil {
			return err
		}
		_, err = l.take(id, value)
		return err
	})
}

// named looks the sessions up by their names, if the active one is at hand and tells
// those of the others.
func (l *loading) named(ctx context.Context, active ID) (bool, error) {
	if active == (ID{}) {
		return false, nil
	}
	r, found, err := l.get(ctx, active)
	if err != nil || !found || l.sessions.Active != active || !r.listed {
		return false, err
	}
	for _, id := range r.others {
		if _, found, err := l.get(ctx, id); err != nil || !found {
			return false, err
		}
	}
	return l.sessions.Active == active, nil
}

// get looks one session up.
func (l *loading) get(ctx context.Context, id ID) (r storedSession, found bool, err error) {
	value, err := l.from.Get(ctx, l.place.session(id))
	if errors.Is(err, persistence.ErrNotFound) {
		return r, false, nil
	}
	if err == nil {
		r, err = l.take(id, value)
	}
	return r, err == nil, err
}

// take adds a session that was read.
func (l *loading) take(id ID, value []byte) (storedSession, error) {
	session := new(Session)
	r, err := decodeSession(session, id, value)
	if err != nil {
		return r, fmt.Errorf("%w: session %v: %w", ErrCorrupt, id, err)
	}
	l.sessions.List = append(l.sessions.List, session)
	if r.active {
		l.sessions.Active = id
	}
	if !r.bare {
		l.skipping = append(l.skipping, id)
	}
	return r, nil
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
