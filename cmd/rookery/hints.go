package main

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/internal/daemon"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// hints say what to do about an error.
var hints = []struct {
	of   error
	hint string
}{
	{persistence.ErrLocked, "a running process has the store open: stop it first, or let it do this itself"},
	{daemon.ErrPublic, "--public lets it be one that other machines reach"},
	{daemon.ErrTLS, "give --tls-cert and --tls-key, or --insecure if something else encrypts"},
	{persistence.ErrNewerFormat, "use the release that wrote it, or a later one"},
	{persistence.ErrPermission, "directories have to be 0700 and files 0600"},
	{keyring.ErrNoProtector, "give --key-file or --passphrase-file, or set one of the two"},
	{keyring.ErrWrongKey, "give what the store was made with, or what rookery store passwd has changed it to"},
	{keyring.ErrTwoProtectors, "unset one of them, or give --key-file or --passphrase-file"},
	{cause.ErrBlocked, "rookery contact unblock lets it write again"},
	{cause.ErrOwnIdentity, "our own devices are seen to by rookery device"},
	{rookery.ErrRetired, "its store was put back to an older state: use the installation that took its place, see rookery identity list"},
	{cause.ErrNoRequest, "rookery contact list shows who waits for an answer"},
	{cause.ErrUnknownInstallation, "rookery device list shows those that are known"},
	{cause.ErrTooManyInstallations, "disable another one first"},
	{cause.ErrStalePreKey, "its contact code is looked for; try again when it has been online, or add a new code of it"},
	{cause.ErrNoTarget, "all its devices are disabled or gone; its contact code is looked for, or add a new code of it"},
	{cause.ErrUntrustedBundle, "the code is not by who it says it is of; get it anew from its owner"},
	{rookery.ErrNewerContactCode, "use a later release"},
	{rookery.ErrContactCode, "a code begins with ROOKERY:1: and has to be whole"},
	{rookery.ErrPublicKey, "a public key has 66 or 130 hexadecimal digits, the longer one begins with 04"},
	{rookery.ErrPhrase, "twelve or more words of the BIP-39 list, in their order"},
	{rookery.ErrPrivateKey, "a private key has 64 hexadecimal digits"},
	{jetstream.ErrNoStream, "with ,create=true behind the address a stream that is missing is made"},
	{rookery.ErrPayloadSize, "a message has 1 byte to 1 MiB"},
}

// explained adds what to do about an error.
func explained(err error) error {
	if hint := hintFor(err); hint != "" {
		return fmt.Errorf("%w (%s)", err, hint)
	}
	return err
}

// hintFor is what to do about an error, "" if that is not known.
func hintFor(err error) string {
	for _, h := range hints {
		if errors.Is(err, h.of) {
			return h.hint
		}
	}
	return ""
}
