package rookery_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/persistence"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/proto/record"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport"
)

// offCurve has the shape of a public key and no y: x = 5 is not on secp256k1.
var offCurve = rookery.PublicKey{0: 2, 32: 5}

// pairWorld is a world in memory with two people who have talked, and the
// store, which nothing that is refused may change.
func pairWorld(t *testing.T) (w *world, alice, bob device, store persistence.Store) {
	t.Helper()
	inMemory := lasting{memstore.New()}
	w = newWorld(t, on(inMemory))
	alice, bob = w.person(1)[0], w.person(1)[0]
	w.introduce(w.at(alice), w.at(bob))
	w.introduce(w.at(bob), w.at(alice))
	w.send(alice, bob.key, "hello")
	w.awaitMessages(1, bob)
	w.send(bob, alice.key, "hello yourself")
	w.awaitMessages(1, alice)
	for _, d := range []device{alice, bob} { // a later tick has nothing to do
		w.awaitCodes(1, d)
		awaitNoted(t, inMemory, d)
	}
	settle(t, inMemory)
	return w, alice, bob, inMemory
}

// awaitNoted waits until the store says that a network has the contact code.
func awaitNoted(t *testing.T, store persistence.Store, d device) {
	t.Helper()
	owner := persistence.NewOwnerID(d.key[:], d.installation)
	eventually(t, "note of the publication", func() bool {
		value, err := store.Get(t.Context(), persistence.NewName(persistence.KindPublication, owner[:]))
		if err != nil {
			t.Fatal(err)
		}
		var p record.Publication
		if err := proto.Unmarshal(value, &p); err != nil {
			t.Fatal(err)
		}
		return p.GetAnnounced() != 0
	})
}

// settle waits until outbox and inbox are empty: acknowledgements come after
// what they acknowledge.
func settle(t *testing.T, store persistence.Store) {
	t.Helper()
	eventually(t, "settled store", func() bool {
		return count(t, store, persistence.KindOutbox) == 0 && count(t, store, persistence.KindInbox) == 0
	})
}

// flush waits until all that shows in the store is durable: a batch does before it is.
// Commits become so in their order.
func (w *world) flush(at device) {
	w.t.Helper()
	for _, change := range []func(context.Context, rookery.PublicKey) error{w.at(at).Block, w.at(at).Unblock} {
		if err := change(w.context(), offCurve); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestCallsThatAreRefusedChangeNothing(t *testing.T) {
	w, alice, bob, store := pairWorld(t)
	ctx := w.context()
	ended, end := context.WithCancel(ctx)
	end()
	bundle, err := w.at(bob).Bundle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	own, err := w.at(alice).Bundle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	order := []byte{
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
		0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
	}
	create := func(n rookery.NewIdentity) func() error {
		return func() error {
			_, err := w.engine.CreateIdentity(ctx, n)
			return err
		}
	}
	send := func(ctx context.Context, to rookery.PublicKey, payload []byte) func() error {
		return func() error {
			receipt, err := w.at(alice).Send(ctx, to, payload)
			if receipt.ID != (rookery.MessageID{}) || receipt.Installations != nil {
				t.Errorf("a receipt for what was refused: %+v", receipt)
			}
			return err
		}
	}
	take := func(ctx context.Context, contact rookery.PublicKey, bundle []byte) func() error {
		return func() error { return w.at(alice).TakeBundle(ctx, contact, bundle) }
	}
	tests := []struct {
		name string
		call func() error
		want error
	}{
		{"empty payload", send(ctx, bob.key, nil), rookery.ErrPayloadSize},
		{"payload too large", send(ctx, bob.key, make([]byte, rookery.MaxPayload+1)), rookery.ErrPayloadSize},
		{"send off the curve", send(ctx, offCurve, []byte("x")), rookery.ErrPublicKey},
		{"send to nobody", send(ctx, rookery.PublicKey{}, []byte("x")), rookery.ErrPublicKey},
		{"send to ourselves alone", send(ctx, alice.key, []byte("x")), cause.ErrNoTarget},
		{"send, context ended", send(ended, bob.key, []byte("x")), context.Canceled},

		{"bundle: nothing", take(ctx, bob.key, nil), cause.ErrMalformed},
		{"bundle: garbage", take(ctx, bob.key, []byte("garbage")), cause.ErrMalformed},
		{"bundle: too long", take(ctx, bob.key, make([]byte, wire.MaxBundleSize+1)), cause.ErrMalformed},
		{"bundle: another's", take(ctx, bob.key, own), cause.ErrUntrustedBundle},
		{"bundle: contact off the curve", take(ctx, offCurve, bundle), cause.ErrUntrustedBundle},
		{"bundle: context ended", take(ended, bob.key, bundle), context.Canceled},

		{"identity: key of 31 bytes", create(rookery.NewIdentity{Key: order[:31]}), rookery.ErrPrivateKey},
		{"identity: key of 33 bytes", create(rookery.NewIdentity{Key: append([]byte{0}, order...)}), rookery.ErrPrivateKey},
		{"identity: empty key", create(rookery.NewIdentity{Key: []byte{}}), rookery.ErrPrivateKey},
		{"identity: key zero", create(rookery.NewIdentity{Key: make([]byte, 32)}), rookery.ErrPrivateKey},
		{"identity: key n", create(rookery.NewIdentity{Key: order}), rookery.ErrPrivateKey},
		{"identity: key above n", create(rookery.NewIdentity{Key: bytes.Repeat([]byte{0xff}, 32)}), rookery.ErrPrivateKey},
		{"identity: phrase", create(rookery.NewIdentity{Phrase: "twelve words these are not"}), rookery.ErrPhrase},
		{"identity: key and phrase", create(rookery.NewIdentity{Key: order, Phrase: "x"}), rookery.ErrOptions},
		{"installation none", create(rookery.NewIdentity{InstallationID: wire.NoInstallation}), rookery.ErrInstallationID},
		{"installation of 101", create(rookery.NewIdentity{InstallationID: strings.Repeat("a", 101)}), rookery.ErrInstallationID},
		{"installation with a space", create(rookery.NewIdentity{InstallationID: "a b"}), rookery.ErrInstallationID},
		{"installation with a newline", create(rookery.NewIdentity{InstallationID: "a\n"}), rookery.ErrInstallationID},
		{"installation with a zero", create(rookery.NewIdentity{InstallationID: "a\x00"}), rookery.ErrInstallationID},
		{"installation with delete", create(rookery.NewIdentity{InstallationID: "a\x7f"}), rookery.ErrInstallationID},
		{"installation in UTF-8", create(rookery.NewIdentity{InstallationID: "Gerät"}), rookery.ErrInstallationID},
		{"installation not UTF-8", create(rookery.NewIdentity{InstallationID: "\xff"}), rookery.ErrInstallationID},

		{"approve an unknown device", func() error { return w.at(alice).Approve(ctx, alice.key, "unknown") }, cause.ErrUnknownInstallation},
		{"approve, context ended", func() error { return w.at(alice).Approve(ended, alice.key, "unknown") }, context.Canceled},
		{"bundle, context ended", func() error { _, err := w.at(alice).Bundle(ended); return err }, context.Canceled},
		{"contact, context ended", func() error { _, err := w.at(alice).Contact(ended, bob.key); return err }, context.Canceled},
		{"contact code, context ended", func() error {
			return w.at(alice).PublishContactCode(ended, func(error) { t.Error("published") })
		}, context.Canceled},
		{"create, context ended", func() error {
			_, err := w.engine.CreateIdentity(ended, rookery.NewIdentity{})
			return err
		}, context.Canceled},
		{"another installation, context ended", func() error {
			_, err := w.at(alice).AddInstallation(ended)
			return err
		}, context.Canceled},
	}
	before, published := digest(t, store), len(w.air.history())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantError(t, test.call(), test.want)
			if digest(t, store) != before {
				t.Error("the store has changed")
			}
		})
	}
	if n := len(w.engine.Identities()); n != 2 {
		t.Errorf("%d identities are hosted", n)
	}
	w.close() // whatever was still going on in the background
	if digest(t, store) != before {
		t.Error("the store has changed in the end")
	}
	if n := len(w.air.history()); n != published {
		t.Errorf("%d envelopes were published", n-published)
	}
	w.open()
	w.send(alice, bob.key, "still here")
	w.awaitMessages(2, bob)
}

func TestLargestPayloadArrives(t *testing.T) {
	w, alice, bob, _ := pairWorld(t)
	payload := strings.Repeat("x", rookery.MaxPayload)
	w.send(alice, bob.key, payload)
	w.awaitMessages(2, bob)
	if got := messages(w.bag.all(), bob)[1].Payload; string(got) != payload {
		t.Errorf("%d bytes arrived, or altered", len(got))
	}
}

// T21, T29: every bit of a bundle counts, and what is refused leaves no trace.
func TestDamagedBundleIsRefusedAndLeavesNoTrace(t *testing.T) {
	w, alice, _, store := pairWorld(t)
	carol := w.person(1)[0]
	bundle, err := w.at(carol).Bundle(w.context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.at(alice).Contact(w.context(), carol.key); err != nil {
		t.Fatal(err)
	}
	before := digestOf(t, store, whatContactsAreTo(t, alice))
	refused := func(what string, at int, damaged []byte) {
		err := w.at(alice).TakeBundle(w.context(), carol.key, damaged)
		if !errors.Is(err, cause.ErrMalformed) && !errors.Is(err, cause.ErrUntrustedBundle) {
			t.Errorf("%s at byte %d of %d: %v", what, at, len(bundle), err)
		}
	}
	decoded, err := wire.DecodeBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for at := range bundle {
		damaged := slices.Clone(bundle)
		damaged[at] ^= 1
		if again, err := wire.DecodeBundle(damaged); err == nil && unsigned(decoded) == unsigned(again) {
			continue // the protocol version is not signed, on this wire
		}
		refused("flipped bit", at, damaged)
		refused("cut", at, bundle[:at])
	}
	if digestOf(t, store, whatContactsAreTo(t, alice)) != before {
		t.Error("the store has changed")
	}
	if contact, err := w.at(alice).Contact(w.context(), carol.key); err != nil || len(contact.Installations) != 0 {
		t.Errorf("carol has %d installations: %v", len(contact.Installations), err)
	}
	if err := w.at(alice).TakeBundle(w.context(), carol.key, bundle); err != nil {
		t.Errorf("the whole bundle: %v", err)
	}
}

// unsigned is a bundle of one prekey without what its signature does not cover.
func unsigned(b wire.Bundle) any {
	if len(b.PreKeys) != 1 {
		return nil
	}
	key := b.PreKeys[0]
	key.ProtocolVersion = 0
	return [...]any{b.Identity, key, b.Signature, b.Timestamp}
}

// Spec: 5.prekeys.1
func TestIdentityIsCreatedOnce(t *testing.T) {
	w := newWorld(t, backends[1])
	n := rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32), InstallationID: "here"}
	first, err := w.engine.CreateIdentity(w.context(), n)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = w.engine.CreateIdentity(w.context(), n)
		wantError(t, err, rookery.ErrIdentityExists)
		if found, ok := w.engine.Identity(first.PublicKey(), "here"); !ok || found.InstallationID() != "here" {
			t.Error("the first one is gone")
		}
		w.reopen()
	}
	n.InstallationID = "there"
	second, err := w.engine.CreateIdentity(w.context(), n)
	if err != nil || second.PublicKey() != first.PublicKey() {
		t.Errorf("another installation of it: %v", err)
	}
}

// failing is a network on which nobody can listen.
type failing struct{ *air }

var errNoListening = errors.New("no listening here")

func (failing) Subscribe(transport.Topic, transport.Deliver) (func(), error) {
	return nil, errNoListening
}

func TestIdentityThatCannotListenIsNotHostedAndCanBeCreatedLater(t *testing.T) {
	store := lasting{memstore.New()}
	w := newWorld(t, on(store), func(o *rookery.Options) { o.Transport = failing{o.Transport.(*air)} })
	n := rookery.NewIdentity{Key: bytes.Repeat([]byte{7}, 32), InstallationID: "here"}
	for range 2 {
		_, err := w.engine.CreateIdentity(w.context(), n)
		wantError(t, err, errNoListening)
		if n := len(w.engine.Identities()); n != 0 {
			t.Errorf("%d identities are hosted", n)
		}
		onlyFences(t, store)
	}
	w.configure = append(w.configure, func(o *rookery.Options) { o.Transport = w.air })
	w.reopen() // would fail if the store still hosted it
	if _, err := w.engine.CreateIdentity(w.context(), n); err != nil {
		t.Error(err)
	}
}
