package bundleactor

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// ErrCorrupt: a stored prekey or publication cannot have been written by this
// package.
var ErrCorrupt = fmt.Errorf("bundleactor: %w", persistence.ErrCorrupt)

// errTime: a stored time that no step gives.
var errTime = errors.New("time out of range")

// Reader reads records, those still on their way to the disk included.
type Reader interface {
	Get(ctx context.Context, name persistence.Name) ([]byte, error)
	Scan(ctx context.Context, prefix persistence.Name, fn func(persistence.Name, []byte) error) error
}

func preKeys(owner persistence.OwnerID) persistence.Name {
	return persistence.NewName(persistence.KindPrekey, owner[:])
}

func preKeyName(owner persistence.OwnerID, version uint32) persistence.Name {
	return persistence.NewName(persistence.KindPrekey, owner[:], binary.BigEndian.AppendUint32(nil, version))
}

func publicationName(owner persistence.OwnerID) persistence.Name {
	return persistence.NewName(persistence.KindPublication, owner[:])
}

// Records turns a change that led to this state into records, to be committed
// together.
func (s State) Records(owner persistence.OwnerID, change Change) ([]persistence.Record, error) {
	var out []persistence.Record
	for i := range change.Put {
		k := &change.Put[i]
		value, err := proto.Marshal(&record.PreKey{
			PrivateKey: k.Key.Scalar(),
			Version:    k.Version,
			Created:    k.Created,
			Expired:    k.Expired,
		})
		if err != nil {
			return nil, fmt.Errorf("bundleactor: encode prekey: %w", err)
		}
		out = append(out, persistence.Record{Name: preKeyName(owner, k.Version), Value: value})
	}
	for i := range change.Drop {
		out = append(out, persistence.Record{Name: preKeyName(owner, change.Drop[i].Version), Delete: true})
	}
	if !change.Publication {
		return out, nil
	}
	value, err := proto.Marshal(&record.Publication{
		Bundle:    wire.EncodeBundle(s.Bundle),
		Signed:    s.Signed,
		Doubted:   s.Doubted,
		Changed:   s.Changed,
		Announced: s.Announced,
	})
	if err != nil {
		return nil, fmt.Errorf("bundleactor: encode publication: %w", err)
	}
	return append(out, persistence.Record{Name: publicationName(owner), Value: value}), nil
}

// Load reads the state of a hosted installation; nothing stored is the zero
// State. Errors: ErrCorrupt; those of the reader.
func Load(ctx context.Context, from Reader, owner persistence.OwnerID) (State, error) {
	var s State
	err := from.Scan(ctx, preKeys(owner), func(name persistence.Name, value []byte) error {
		k, err := decodePreKey(value)
		if err != nil {
			return fmt.Errorf("%w: %v: %w", ErrCorrupt, name, err)
		}
		s.Keys = append(s.Keys, k)
		return nil
	})
	if err != nil {
		return State{}, err
	}
	slices.SortFunc(s.Keys, func(a, b PreKey) int { return cmp.Compare(a.Version, b.Version) })
	value, err := from.Get(ctx, publicationName(owner))
	if errors.Is(err, persistence.ErrNotFound) {
		return s, nil
	}
	if err != nil {
		return State{}, err
	}
	if err := s.decodePublication(value); err != nil {
		return State{}, fmt.Errorf("%w: publication: %w", ErrCorrupt, err)
	}
	return s, nil
}

func decodePreKey(value []byte) (PreKey, error) {
	var r record.PreKey
	if err := proto.Unmarshal(value, &r); err != nil {
		return PreKey{}, err
	}
	key, err := x3dh.NewPreKey(r.GetPrivateKey())
	if err != nil {
		return PreKey{}, err
	}
	if r.GetCreated() < 0 || r.GetExpired() < 0 {
		return PreKey{}, errTime
	}
	return PreKey{Key: key, Version: r.GetVersion(), Created: r.GetCreated(), Expired: r.GetExpired()}, nil
}

func (s *State) decodePublication(value []byte) error {
	var r record.Publication
	if err := proto.Unmarshal(value, &r); err != nil {
		return err
	}
	b, err := wire.DecodeBundle(r.GetBundle())
	if err != nil {
		return err
	}
	switch {
	case len(b.PreKeys) == 0:
		return x3dh.ErrBundleEmpty
	case b.Timestamp < earliest, b.Timestamp == math.MaxInt64, min(r.GetSigned(), r.GetDoubted(), r.GetChanged(), r.GetAnnounced()) < 0:
		return errTime
	}
	s.Bundle, s.Signed, s.Doubted, s.Changed, s.Announced = b, r.GetSigned(), r.GetDoubted(), r.GetChanged(), r.GetAnnounced()
	return nil
}
