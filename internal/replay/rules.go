package replay

import (
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/sessionactor"
)

// Rule is a choice of our session and device rules that the deployed reference
// makes otherwise, without either being wrong about a byte. Its ID is stable
// and stands in docs/conformance.md.
type Rule struct {
	ID      string
	Summary string
}

const (
	ruleSmallerKey   = "R-smaller-key"
	ruleStartedOver  = "R-started-over"
	ruleMadeEarlier  = "R-made-earlier"
	ruleNewerPreKey  = "R-newer-prekey"
	ruleOwnRotation  = "R-own-rotation"
	ruleActiveFirst  = "R-active-first"
	ruleOwnCap       = "R-own-cap"
	ruleNoTarget     = "R-no-target"
	ruleMadeWith     = "R-made-with"
	ruleCopies       = "R-copies"
	ruleOwnWrapper   = "R-own-wrapper"
	ruleSameID       = "R-same-id"
	ruleOwnEcho      = "R-own-echo"
	rulePublicChat   = "R-public-chat"
	ruleDHOnce       = "R-dh-once"
	ruleEmptyMessage = "R-empty-message"
	ruleKnownOnly    = "R-known-only"
)

var rules = []Rule{
	{ruleSmallerKey, "of two concurrent sessions both sides use the one with the smaller key; the reference stays on its own"},
	{ruleStartedOver, "a session that the peer made later is used; the reference stays on its own"},
	{ruleMadeEarlier, "a session that the peer made earlier than the one in use is not taken up again"},
	{ruleNewerPreKey, "a newer prekey of the peer is a reason to start a new session, whoever made the one in use"},
	{ruleOwnRotation, "a session is used until the peer's prekey changes; the reference gives it up when the own prekey that it rests on is replaced"},
	{ruleActiveFirst, "of too many installations those are sent to that were heard last, not those whose bundles are the newest"},
	{ruleOwnCap, "no more than the allowed number of own installations is approved or sent to"},
	{ruleNoTarget, "nothing goes without forward secrecy when installations are known, or to ourselves"},
	{ruleMadeWith, "a field of ours, which the reference skips, says which prekey of ours the session was made with, since it was replaced before an answer came"},
	{ruleCopies, "what we send is followed by a message that gives it to our own other installations"},
	{ruleOwnWrapper, "between our own installations a payload travels in a wrapper that names whom the original went to"},
	{ruleSameID, "an installation of somebody else is sent to although it has the id of ours"},
	{ruleOwnEcho, "a message of this very installation that comes back is refused"},
	{rulePublicChat, "an unencrypted message is taken from a public chat only"},
	{ruleDHOnce, "a DH-only message is accepted once"},
	{ruleEmptyMessage, "a message without any part is a contact code: its bundles are taken"},
	{ruleKnownOnly, "approving an installation that is not known is an error"},
}

// Rules lists them all, in the order of docs/conformance.md.
func Rules() []Rule { return rules }

// gaveUp names the rule for which a session is no longer used.
var gaveUp = map[sessionactor.Cause]string{
	sessionactor.ConcurrentStart: ruleSmallerKey,
	sessionactor.PeerStartedOver: ruleStartedOver,
	sessionactor.MadeEarlier:     ruleMadeEarlier,
	sessionactor.NewerBundle:     ruleNewerPreKey,
}

// refusing are the rules behind refusals that the reference does not make. Each
// error is given only by the rule that it names.
var refusing = []struct {
	err  error
	rule string
}{
	{deviceactor.ErrOwnEcho, ruleOwnEcho},
	{deviceactor.ErrReplayed, ruleDHOnce},
	{deviceactor.ErrTooManyInstallations, ruleOwnCap},
	{deviceactor.ErrUnknownInstallation, ruleKnownOnly},
}
