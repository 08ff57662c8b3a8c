package rookery

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is how long the name of an identity may be, in bytes.
const MaxName = 64

// Name is what the user calls the identity on this host, "" if nothing. Several
// may have the same.
func (i *Identity) Name() string { return i.name }

// checkName refuses what cannot be shown in one piece, or looks like another name.
func checkName(name string) error {
	switch {
	case len(name) > MaxName:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrName, len(name), MaxName)
	case !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("%w: printable text without spaces around it", ErrName)
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
