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
		public := k.Key.Public()
		value, err := proto.Marshal(&record.PreKey{
			PrivateKey: k.Key.Scalar(),
			Version:    k.Version,
			Created:    k.Created,
			Expired:    k.Expired,
			PublicKey:  public[:],
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
	var created int64
	if current, ok := s.Keys.Current(); ok {
		created = current.Created
	}
	value, err := proto.Marshal(&record.Publication{
		Bundle:    wire.EncodeBundle(s.Bundle),
		Signed:    s.Signed,
		Doubted:   s.Doubted,
		Changed:   s.Changed,
		Announced: s.Announced,

		PreKeyCreated: created,
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
	if _, err := s.loadPublication(ctx, from, owner); err != nil {
		return State{}, err
	}
	return s, nil
}

// loadPublication reads all but the prekeys, and when the one in the bundle was made (ns,
// 0 if the record does not say).
func (s *State) loadPublication(ctx context.Context, from Reader, owner persistence.OwnerID) (created int64, err error) {
	value, err := from.Get(ctx, publicationName(owner))
	if errors.Is(err, persistence.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if created, err = s.decodePublication(value); err != nil {
		return 0, fmt.Errorf("%w: publication: %w", ErrCorrupt, err)
	}
	return created, nil
}

func decodePreKey(value []byte) (PreKey, error) {
	var r record.PreKey
	if err := proto.Unmarshal(value, &r); err != nil {
		return PreKey{}, err
	}
	var key x3dh.PreKey
	var err error
	switch public := r.GetPublicKey(); len(public) {
	case 0:
		key, err = x3dh.NewPreKey(r.GetPrivateKey())
	case x3dh.PublicKeySize:
		key, err = x3dh.RestorePreKey(r.GetPrivateKey(), x3dh.PreKeyPublic(public))
	default:
		err = fmt.Errorf("public key of %d bytes", len(public))
	}
	if err != nil {
		return PreKey{}, err
	}
	if r.GetCreated() < 0 || r.GetExpired() < 0 || r.GetExpired() != 0 && r.GetExpired() < r.GetCreated() {
		return PreKey{}, errTime
	}
	return PreKey{Key: key, Version: r.GetVersion(), Created: r.GetCreated(), Expired: r.GetExpired()}, nil
}

func (s *State) decodePublication(value []byte) (created int64, err error) {
	var r record.Publication
	if err := proto.Unmarshal(value, &r); err != nil {
		return 0, err
	}
	b, err := wire.DecodeBundle(r.GetBundle())
	if err != nil {
		return 0, err
	}
	switch {
	case len(b.PreKeys) == 0:
		return 0, x3dh.ErrBundleEmpty
	case b.Timestamp < earliest, b.Timestamp == math.MaxInt64, min(r.GetSigned(), r.GetDoubted(), r.GetChanged(), r.GetAnnounced(), r.GetPreKeyCreated()) < 0:
		return 0, errTime
	}
	s.Bundle, s.Signed, s.Doubted, s.Changed, s.Announced = b, r.GetSigned(), r.GetDoubted(), r.GetChanged(), r.GetAnnounced()
	return r.GetPreKeyCreated(), nil
}
