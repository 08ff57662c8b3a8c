package leakscan

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"testing"
)

// window is how many bytes of a key in a row are a leak. Of a text it is the whole:
// parts of it are words that anybody may use.
const window = 8

// leastText is how long a text has to be, in bytes, to be looked for: a shorter one
// stands in many lines by chance.
const leastText = 12

// keyBytes is how long what is read of a source of randomness has to be to count as a
// key; what is shorter is a nonce, an IV or an id.
const keyBytes = 32

// Scanner knows secrets and reports where one stands. Safe for concurrent use.
type Scanner struct {
	report func(leak string)
	idle   bool // it looks at nothing

	mu    sync.Mutex
	keys  map[uint64]struct{} // all windows of all keys
	texts map[uint64][][]byte // by their first window
	lines int
}

// New is a scanner without secrets. It reports each leak once it is found, from
// whichever goroutine leaked it.
func New(report func(leak string)) *Scanner {
	return &Scanner{report: report, keys: make(map[uint64]struct{}), texts: make(map[uint64][][]byte)}
}

// Watch is a scanner that fails a test with each leak, when the test and all that was
// registered for its end after Watch is over. Under the race detector it looks at nothing.
func Watch(t testing.TB) *Scanner {
	var mu sync.Mutex
	var leaks []string
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, leak := range leaks {
			t.Error(leak)
		}
	})
	s := New(func(leak string) {
		mu.Lock()
		defer mu.Unlock()
		leaks = append(leaks, leak)
	})
	s.idle = idle
	return s
}

// Key adds key material: any eight bytes in a row of it are a leak, unless it is a
// text.
func (s *Scanner) Key(key []byte) {
	if s.idle {
		return
	}
	if isText(key) {
		s.Text(key)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+window <= len(key); i++ {
		if part := key[i : i+window]; varied(part) {
			s.keys[binary.LittleEndian.Uint64(part)] = struct{}{}
		}
	}
}

// Text adds a plaintext or a passphrase, which is a leak as a whole. One of less than twelve
// bytes is not looked for.
func (s *Scanner) Text(text []byte) {
	if s.idle || len(text) < leastText || !varied(text) {
		return
	}
	at := binary.LittleEndian.Uint64(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, known := range s.texts[at] {
		if bytes.Equal(known, text) {
			return
		}
	}
	s.texts[at] = append(s.texts[at], bytes.Clone(text))
}

// Random is a source of randomness of which all keys are secrets: whatever is read of
// it 32 bytes at a time.
func (s *Scanner) Random(from io.Reader) io.Reader { return learning{s, from} }

type learning struct {
	scanner *Scanner
	from    io.Reader
}

// Read implements io.Reader.
func (l learning) Read(b []byte) (int, error) {
	n, err := l.from.Read(b)
	if n == keyBytes {
		l.scanner.Key(b[:n])
	}
	return n, err
}

// Line looks at one line of text; where says where it stands.
func (s *Scanner) Line(where, line string) {
	if s.idle {
		return
	}
	readings := readingsOf([]byte(line))
	s.mu.Lock()
	s.lines++
	form := ""
	for _, r := range readings {
		if s.holdsLocked(r.content) {
			form = r.form
			break
		}
	}
	s.mu.Unlock()
	if form != "" {
		s.report(fmt.Sprintf("%s shows a secret, %s: %s", where, form, line))
	}
}

// Value looks at a value printed in all ways.
func (s *Scanner) Value(where string, value any) {
	if s.idle {
		return
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		s.Line(where+" as "+verb, fmt.Sprintf(verb, value))
	}
	if encoded, err := json.Marshal(value); err == nil { // functions cannot be encoded
		s.Line(where+" as JSON", string(encoded))
	}
}

// Lines counts the texts that were looked at.
func (s *Scanner) Lines() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines
}

func (s *Scanner) holdsLocked(content []byte) bool {
	for i := 0; i+window <= len(content); i++ {
		at := binary.LittleEndian.Uint64(content[i:])
		if _, ok := s.keys[at]; ok {
			return true
		}
		for _, text := range s.texts[at] {
			if bytes.HasPrefix(content[i:], text) {
				return true
			}
		}
	}
	return false
}

// varied tells what could not stand somewhere by chance.
func varied(b []byte) bool {
	different := make(map[byte]struct{}, len(b))
	for _, c := range b {
		different[c] = struct{}{}
	}
	return len(different) >= window/2
}

func isText(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' })
}
