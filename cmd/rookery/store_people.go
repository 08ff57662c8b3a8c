package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/x3dh"
)

// storedIdentity is a hosted installation as a store that no engine has open shows it,
// without its private key.
type storedIdentity struct {
	owner        persistence.OwnerID
	key          rookery.PublicKey
	installation string
	name         string
	successor    string // "" while it is in use
}

// storedIdentities are all of a store.
func storedIdentities(ctx context.Context, store persistence.Store) ([]storedIdentity, error) {
	var all []storedIdentity
	err := store.Scan(ctx, persistence.NewName(persistence.KindIdentity), func(name persistence.Name, value []byte) error {
		var r record.Identity
		if err := proto.Unmarshal(value, &r); err != nil {
			return fmt.Errorf("%v: %w", name, errors.Join(persistence.ErrCorrupt, err))
		}
		defer clear(r.GetIdentityKey())
		key, err := x3dh.ParseIdentity(r.GetPublicKey())
		if err != nil { // written before the public key was
			private, err := x3dh.NewIdentity(r.GetIdentityKey())
			if err != nil {
				return fmt.Errorf("%v: %w", name, err)
			}
			key = private.Public()
			private.Wipe()
		}
		all = append(all, storedIdentity{
			owner: persistence.NewOwnerID(key[:], r.GetInstallationId()), key: key,
			installation: r.GetInstallationId(), name: r.GetName(), successor: r.GetSuccessor(),
		})
		return nil
	})
	return all, err
}

// pickStored finds the identity that is meant as pickIdentity does.
func pickStored(all []storedIdentity, who string) (storedIdentity, error) {
	ways := []func(storedIdentity) bool{
		func(i storedIdentity) bool { return i.name == who },
		func(i storedIdentity) bool { return begins(i.key.String(), who) || begins(i.installation, who) },
		func(i storedIdentity) bool {
			key, err := rookery.ParsePublicKey(who)
			return err == nil && key == i.key
		},
	}
	if who == "" {
		ways = []func(storedIdentity) bool{func(storedIdentity) bool { return true }}
	}
	for _, means := range ways {
		var found, inUse []storedIdentity
		for _, i := range all {
			if means(i) {
				found = append(found, i)
				if i.successor == "" {
					inUse = append(inUse, i)
				}
			}
		}
		if len(inUse) > 0 {
			found = inUse
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return storedIdentity{}, fmt.Errorf("which identity? %w; say more with --identity", errAmbiguous)
		}
	}
	return storedIdentity{}, fmt.Errorf("identity %q %w", who, errUnknown)
}

// pickStoredContact finds the contact of an identity that is meant.
func pickStoredContact(ctx context.Context, store persistence.Store, of storedIdentity, who string) (rookery.PublicKey, error) {
	if key, err := rookery.ParsePublicKey(who); err == nil {
		return key, nil
	}
	var found []rookery.PublicKey
	err := eachStoredContact(ctx, store, of, func(key rookery.PublicKey) error {
		if key != of.key && begins(key.String(), who) {
			found = append(found, key)
		}
		return nil
	})
	switch {
	case err != nil:
		return rookery.PublicKey{}, err
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return rookery.PublicKey{}, fmt.Errorf("contact %q: %w: %v and %v begin so", who, errAmbiguous, found[0], found[1])
	}
	return rookery.PublicKey{}, fmt.Errorf("contact %q %w: the beginning of a known contact's key, of %d digits or more, or a whole key", strings.TrimSpace(who), errUnknown, leastPrefix)
}

// eachStoredContact calls fn for all contacts of an identity, itself among them if it
// has other devices.
func eachStoredContact(ctx context.Context, store persistence.Store, of storedIdentity, fn func(rookery.PublicKey) error) error {
	return store.Scan(ctx, persistence.NewName(persistence.KindContact, of.owner[:]), func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts) != 2 {
			return fmt.Errorf("%v: %w", name, persistence.ErrCorrupt)
		}
		key, err := x3dh.ParseIdentity(parts[1])
		if err != nil {
			return fmt.Errorf("%v: %w", name, persistence.ErrCorrupt)
		}
		return fn(key)
	})
}
