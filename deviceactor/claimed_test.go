package deviceactor

import (
	"testing"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/sessionactor"
	"github.com/rookery-im/rookery/x3dh"
)

// The prekey in a bundle that is not believed is passed on as claimed, and
// nothing else of the bundle.
func TestPrekeyOfADisbelievedBundleIsPassedOnAsClaimed(t *testing.T) {
	peer := x3dh.IdentityPublicKey{2, 9}
	c := Contact{Identity: peer}.put(Installation{ID: "a", Entry: entry(100, 1, 1), Signed: 100})
	bundle := *bundleOf(900, signed("a", 2, 2))
	bundle.Identity = wire.PublicKey(peer)
	m := &wire.Message{InstallationID: "a", Bundles: []wire.Bundle{bundle}, Entries: []wire.Entry{{
		Recipient: here.Installation,
		Part:      wire.Part{DR: &wire.DRHeader{}, X3DH: &wire.X3DHHeader{}},
	}}}
	for _, test := range []struct {
		name          string
		err           error // of the bundle
		claimed, sent byte
		entry         sessionactor.Entry
	}{
		{"believed", nil, 0, 2, entry(900, 2, 2)},
		{"from the future", x3dh.ErrBundleTimestamp, 2, 0, entry(100, 1, 1)},
	} {
		r, err := c.Read(here, m, "", func(*wire.Bundle) error { return test.err })
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		in, err := c.Incoming(here, r, &sessionactor.OwnPreKey{}, noon)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		want := sessionactor.Incoming{Entry: test.entry}
		if test.claimed != 0 {
			want.Claimed = prekey(test.claimed)
		}
		if test.sent != 0 {
			want.Sent = test.entry
		}
		if in.Entry != want.Entry || in.Sent != want.Sent || in.Claimed != want.Claimed {
			t.Errorf("%s: %+v", test.name, in)
		}
	}
}
