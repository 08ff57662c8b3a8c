package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
)

var (
	// errUnknown: nobody is called that.
	errUnknown = errors.New("not found")
	// errAmbiguous: several could be meant.
	errAmbiguous = errors.New("more than one could be meant")
)

// leastPrefix is how much of a key or an id has to be given: every key begins with
// 02 or 03.
const leastPrefix = 4

// begins tells whether text begins with enough of it to mean it. Capitals of
// hexadecimal digits, and "0x" before them, do not matter.
func begins(text, start string) bool {
	start = strings.TrimPrefix(strings.ToLower(start), "0x")
	return len(start) >= leastPrefix && strings.HasPrefix(strings.ToLower(text), start)
}

// inOrder gives the identities of an engine by name, key and installation.
func inOrder(engine *rookery.Engine) []*rookery.Identity {
	all := engine.Identities()
	slices.SortFunc(all, func(a, b *rookery.Identity) int {
		return cmp.Or(
			cmp.Compare(a.Name(), b.Name()),
			cmp.Compare(a.PublicKey().String(), b.PublicKey().String()),
			cmp.Compare(a.InstallationID(), b.InstallationID()),
		)
	})
	return all
}

// named is what an identity is meant by.
type named struct {
	name         string
	key          rookery.PublicKey
	installation string
	replaced     bool
}

// pickIdentity finds the one that is meant.
func pickIdentity(engine *rookery.Engine, who string) (*rookery.Identity, error) {
	return pick(inOrder(engine), who, namesOf)
}

func namesOf(i *rookery.Identity) named {
	return named{i.Name(), i.PublicKey(), i.InstallationID(), i.Retired()}
}

// pick finds the one that is meant: by its name, or by the beginning of its key or
// installation id; "" means the only one. One that was replaced is meant only if no
// other is.
func pick[T any](all []T, who string, names func(T) named) (one T, err error) {
	if len(all) == 0 {
		return one, fmt.Errorf("identity %w: there is none in the store yet (rookery identity create makes one)", errUnknown)
	}
	ways := []func(named) bool{
		func(n named) bool { return n.name == who },
		func(n named) bool { return begins(n.key.String(), who) || begins(n.installation, who) },
		func(n named) bool {
			key, err := rookery.ParsePublicKey(who)
			return err == nil && key == n.key
		},
	}
	if who == "" {
		ways = []func(named) bool{func(named) bool { return true }}
	}
	for _, means := range ways {
		found := slices.DeleteFunc(slices.Clone(all), func(i T) bool { return !means(names(i)) })
		if inUse := slices.DeleteFunc(slices.Clone(found), func(i T) bool { return names(i).replaced }); len(inUse) > 0 {
			found = inUse
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return one, fmt.Errorf("which identity? %w; say more with --identity: %s", errAmbiguous, listed(found, names))
		}
	}
	return one, fmt.Errorf("identity %q %w: there are %s", who, errUnknown, listed(all, names))
}

// listed names some identities.
func listed[T any](all []T, names func(T) named) string {
	const few = 5
	var texts []string
	for _, i := range all[:min(few, len(all))] {
		n := names(i)
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%s %s/%s", n.name, n.key, n.installation)))
	}
	if len(all) > few {
		texts = append(texts, fmt.Sprintf("and %d more", len(all)-few))
	}
	return strings.Join(texts, ", ")
}

// pickContact finds who is meant: a public key, known or not, or the beginning of
// that of a contact.
func pickContact(ctx context.Context, i *rookery.Identity, who string) (rookery.PublicKey, error) {
	return pickKey(who, func() (all []rookery.PublicKey, err error) {
		for c, err := range i.Contacts(ctx) {
			if err != nil {
				return nil, err
			}
			all = append(all, c.Identity)
		}
		return all, nil
	})
}

// pickKey finds the key that is meant, which need not be a known one if it is whole.
func pickKey(who string, known func() ([]rookery.PublicKey, error)) (rookery.PublicKey, error) {
	key, malformed := rookery.ParsePublicKey(who)
	if malformed == nil {
		return key, nil
	}
	all, err := known()
	if err != nil {
		return key, err
	}
	found := slices.DeleteFunc(all, func(key rookery.PublicKey) bool { return !begins(key.String(), who) })
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return key, fmt.Errorf("contact %q: %w: %v and %v begin so", who, errAmbiguous, found[0], found[1])
	case strings.Trim(strings.TrimPrefix(strings.ToLower(who), "0x"), "0123456789abcdef") != "":
		return key, fmt.Errorf("contact %q: %w", who, malformed)
	}
	return key, fmt.Errorf("contact %q %w: the beginning of a known contact's key, of %d digits or more, or a whole key", who, errUnknown, leastPrefix)
}

// pickDevice finds the installation that is meant: by its id or the beginning of it.
func pickDevice(c deviceactor.Contact, who string) (string, error) {
	if _, ok := c.Find(who); ok {
		return who, nil
	}
	var found []string
	for _, in := range c.Installations {
		if begins(in.ID, who) {
			found = append(found, in.ID)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("device %q of %v: %w", who, c.Identity, cause.ErrUnknownInstallation)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("device %q: %w: %s and %s begin so", who, errAmbiguous, plain(found[0]), plain(found[1]))
}
