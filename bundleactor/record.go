package bundleactor

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
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

// records turns a change and the bundle published with it into records.
func records(owner persistence.OwnerID, change Change, b *wire.Bundle) ([]persistence.Record, error) {
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
	value, err := proto.Marshal(&record.Publication{Bundle: wire.EncodeBundle(*b), Timestamp: b.Timestamp})
	if err != nil {
		return nil, fmt.Errorf("bundleactor: encode publication: %w", err)
	}
	return append(out, persistence.Record{Name: publicationName(owner), Value: value}), nil
}

// load reads the prekeys and when the last bundle was signed.
func load(ctx context.Context, from Reader, owner persistence.OwnerID) (keys PreKeys, last int64, err error) {
	err = from.Scan(ctx, preKeys(owner), func(name persistence.Name, value []byte) error {
		var r record.PreKey
		if err := proto.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("%w: %v: %w", ErrCorrupt, name, err)
		}
		key, err := x3dh.NewPreKey(r.GetPrivateKey())
		if err != nil {
			return fmt.Errorf("%w: %v: %w", ErrCorrupt, name, err)
		}
		keys = append(keys, PreKey{Key: key, Version: r.GetVersion(), Created: r.GetCreated(), Expired: r.GetExpired()})
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(keys, func(a, b PreKey) int { return cmp.Compare(a.Version, b.Version) })
	value, err := from.Get(ctx, publicationName(owner))
	if errors.Is(err, persistence.ErrNotFound) {
		return keys, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	var r record.Publication
	if err := proto.Unmarshal(value, &r); err != nil {
		return nil, 0, fmt.Errorf("%w: publication: %w", ErrCorrupt, err)
	}
	return keys, r.GetTimestamp(), nil
}
