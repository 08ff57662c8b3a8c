package jetstream

import "github.com/rookery-im/rookery/transport/carrier"

// liveSuffix makes the prefix of ephemeral messages out of that of the others.
const liveSuffix = "-live"

// token writes a topic as one token of a subject. No two topics give the same, and
// none gives what means something to a server: dots, wildcards, spaces, '$'.
func token(t carrier.Topic) string {
	const digits = "0123456789ABCDEF"
	escaped := 0
	for i := range len(t) {
		if !plain(t[i]) {
			escaped++
		}
	}
	if escaped == 0 {
		return string(t)
	}
	b := make([]byte, 0, len(t)+2*escaped)
	for i := range len(t) {
		if ch := t[i]; plain(ch) {
			b = append(b, ch)
		} else {
			b = append(b, '=', digits[ch>>4], digits[ch&0xf])
		}
	}
	return string(b)
}

func plain(ch byte) bool {
	return 'a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '-' || ch == '_'
}

// names are the subjects of a carrier.
type names struct {
	kept, live string // with the dot at the end
}

func namesUnder(prefix string) names { return names{prefix + ".", prefix + liveSuffix + "."} }

// tokenOf is the token of a subject of the history; empty if it is none.
func (n names) tokenOf(subject string) string { return below(n.kept, subject) }

// liveTokenOf is the token of a subject of an ephemeral message; empty if it is none.
func (n names) liveTokenOf(subject string) string { return below(n.live, subject) }

func below(prefix, subject string) string {
	if len(subject) <= len(prefix) || subject[:len(prefix)] != prefix {
		return ""
	}
	return subject[len(prefix):]
}
