package main

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/deviceactor"
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

// storedIdentities are all of a store; damaged is told of those that cannot be read.
func storedIdentities(ctx context.Context, store persistence.Store, damaged func(persistence.Name, error) error) ([]storedIdentity, error) {
	var all []storedIdentity
	err := eachRecord(ctx, store, persistence.NewName(persistence.KindIdentity), func(name persistence.Name, value []byte) error {
		one, err := decodeStored(value)
		if err != nil {
			return damaged(name, err)
		}
		all = append(all, one)
		return nil
	}, damaged)
	return all, err
}

func decodeStored(value []byte) (storedIdentity, error) {
	var r record.Identity
	if err := proto.Unmarshal(value, &r); err != nil {
		return storedIdentity{}, errors.Join(persistence.ErrCorrupt, err)
	}
	defer clear(r.GetIdentityKey())
	key, err := x3dh.ParseIdentity(r.GetPublicKey())
	if err != nil { // written before the public key was
		private, err := x3dh.NewIdentity(r.GetIdentityKey())
		if err != nil {
			return storedIdentity{}, errors.Join(persistence.ErrCorrupt, err)
		}
		key = private.Public()
		private.Wipe()
	}
	return storedIdentity{
		owner: persistence.NewOwnerID(key[:], r.GetInstallationId()), key: key,
		installation: r.GetInstallationId(), name: r.GetName(), successor: r.GetSuccessor(),
	}, nil
}

// view is how the rules see the identity, as the command line and the daemon have them.
func (i storedIdentity) view() deviceactor.View {
	return deviceactor.View{
		Own: i.key, Installation: i.installation, MaxInstallations: deviceactor.DefaultMaxInstallations,
		Requests: rookery.Ask, Retired: i.successor != "",
	}
}

// pickStored finds the identity that is meant as pickIdentity does.
func pickStored(all []storedIdentity, who string) (storedIdentity, error) {
	return pick(all, who, func(i storedIdentity) named { return named{i.name, i.key, i.installation, i.successor != ""} })
}

// pickStoredContact finds the contact of an identity that is meant as pickContact does.
func pickStoredContact(ctx context.Context, store persistence.Store, of storedIdentity, who string) (rookery.PublicKey, error) {
	return pickKey(who, func() ([]rookery.PublicKey, error) {
		all, err := storedContacts(ctx, store, of, refuse)
		return slices.DeleteFunc(all, func(key rookery.PublicKey) bool { return key == of.key }), err
	})
}

// storedContacts are all contacts of an identity, itself among them if it has other
// devices; damaged is told of those that cannot be read.
func storedContacts(ctx context.Context, store persistence.Store, of storedIdentity, damaged func(persistence.Name, error) error) ([]rookery.PublicKey, error) {
	var all []rookery.PublicKey
	err := eachRecord(ctx, store, persistence.NewName(persistence.KindContact, of.owner[:]), func(name persistence.Name, _ []byte) error {
		parts, err := name.Parts()
		if err != nil || len(parts) != 2 {
			return damaged(name, persistence.ErrCorrupt)
		}
		key, err := x3dh.ParseIdentity(parts[1])
		if err != nil {
			return damaged(name, errors.Join(persistence.ErrCorrupt, err))
		}
		all = append(all, key)
		return nil
	}, damaged)
	return all, err
}
