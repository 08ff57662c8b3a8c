package rookery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"

	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// A contact code is an identity with its signed bundle as text, to be shown as a QR
// code or sent by another way: docs/contact-code.md. Its letters are those that a QR
// code packs two into 11 bits.

const (
	codeScheme  = "ROOKERY:"
	codeVersion = "1"
	// codeSumMark is hashed before the bundle, so that no other sum can be one.
	codeSumMark = "rookery contact code 1"
	codeSumSize = 4
	// maxCode in characters: more than ten times what three installations need.
	maxCode = 8192
)

var codeLetters = base32.StdEncoding.WithPadding(base32.NoPadding)

// ContactCode gives our identity with its bundle as text that TakeContactCode takes,
// on this host or another. It is public, and good until our signed prekey in it is
// destroyed: weeks. Its prekeys are durable.
func (i *Identity) ContactCode(ctx context.Context) (string, error) {
	bundle, err := i.Bundle(ctx)
	if err != nil {
		return "", err
	}
	return codeScheme + codeVersion + ":" + codeLetters.EncodeToString(append(bundle, codeSum(bundle)...)), nil
}

// TakeContactCode takes the bundle of a contact code, as TakeBundle does, and tells
// whose it is. Spaces and line breaks in it do not matter, nor do capitals.
// ErrContactCode, ErrNewerContactCode; cause.ErrUntrustedBundle if it is not well signed.
func (i *Identity) TakeContactCode(ctx context.Context, text string) (PublicKey, error) {
	contact, bundle, err := readContactCode(text)
	if err != nil {
		return PublicKey{}, err
	}
	return contact, i.TakeBundle(ctx, contact, bundle)
}

// IsContactCode tells whether a text begins as a contact code does, of whatever
// version.
func IsContactCode(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) >= len(codeScheme) && strings.EqualFold(text[:len(codeScheme)], codeScheme)
}

// readContactCode gives the bundle in a contact code and whose it says it is; the
// signature of it is still to be checked.
func readContactCode(text string) (contact PublicKey, bundle []byte, err error) {
	if len(text) > maxCode {
		return contact, nil, fmt.Errorf("%w: %d characters, at most %d", ErrContactCode, len(text), maxCode)
	}
	text = strings.ToUpper(strings.Map(withoutSpace, text))
	rest, ok := strings.CutPrefix(text, codeScheme)
	version, letters, found := strings.Cut(rest, ":")
	switch {
	case !ok:
		return contact, nil, fmt.Errorf("%w: it does not begin with %q", ErrContactCode, codeScheme)
	case !found:
		return contact, nil, fmt.Errorf("%w: it has no content", ErrContactCode)
	case version != codeVersion:
		return contact, nil, fmt.Errorf("%w: %.10q, this release knows %s", ErrNewerContactCode, version, codeVersion)
	}
	content, err := codeLetters.DecodeString(letters)
	if err != nil {
		return contact, nil, fmt.Errorf("%w: it holds other letters than A-Z and 2-7, or is cut short", ErrContactCode)
	}
	end := max(0, len(content)-codeSumSize)
	bundle = content[:end]
	if !bytes.Equal(codeSum(bundle), content[end:]) {
		return contact, nil, fmt.Errorf("%w: it is cut short, or was changed on its way", ErrContactCode)
	}
	b, err := wire.DecodeBundle(bundle)
	if err != nil {
		return contact, nil, fmt.Errorf("%w: %w", ErrContactCode, err)
	}
	return PublicKey(b.Identity), bundle, nil
}

func withoutSpace(r rune) rune {
	if unicode.IsSpace(r) {
		return -1
	}
	return r
}

// codeSum tells a code that is whole from one that is not. It proves nothing.
func codeSum(bundle []byte) []byte {
	sum := sha256.Sum256(append([]byte(codeSumMark), bundle...))
	return sum[:codeSumSize]
}

// ParsePublicKey reads an identity in hexadecimal: 33 bytes, compressed, or 65 bytes,
// uncompressed, as Status shows chat keys; with or without "0x". ErrPublicKey.
func ParsePublicKey(text string) (PublicKey, error) {
	digits := strings.TrimSpace(text)
	if len(digits) >= 2 && strings.EqualFold(digits[:2], "0x") {
		digits = digits[2:]
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: not in hexadecimal", ErrPublicKey)
	}
	return x3dh.ParseIdentity(raw)
}
