package leakscan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
)

// planted is a key with bytes of all sorts.
func planted() []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(0xa7 + 29*i)
	}
	return key
}

const plantedText = "meet me at 5, behind \"the\" café"

// shown are the ways in which a secret gets into a line.
func shown(secret []byte) map[string]string {
	encoded, err := json.Marshal(string(secret))
	if err != nil {
		panic(err)
	}
	numbers, err := json.Marshal([32]byte(append(bytes.Clone(secret), make([]byte, 32)...)))
	if err != nil {
		panic(err)
	}
	ways := map[string]string{
		"raw":                  string(secret),
		"hex":                  hex.EncodeToString(secret),
		"hex behind a digit":   "7" + hex.EncodeToString(secret),
		"upper-case hex":       strings.ToUpper(hex.EncodeToString(secret)),
		"spaced hex":           fmt.Sprintf("% x", secret),
		"hex with 0x":          fmt.Sprintf("%# x", secret),
		"Go bytes":             fmt.Sprintf("%#v", secret),
		"numbers":              fmt.Sprint(secret),
		"numbers in JSON":      string(numbers),
		"octal":                fmt.Sprintf("%o", secret),
		"binary":               fmt.Sprintf("%b", secret),
		"quoted":               fmt.Sprintf("%q", secret),
		"quoted ASCII":         fmt.Sprintf("%+q", secret),
		"quoted twice":         fmt.Sprintf("%q", fmt.Sprintf("%q", secret)),
		"base64":               base64.StdEncoding.EncodeToString(secret),
		"base64 for URL":       base64.RawURLEncoding.EncodeToString(secret),
		"base64 after 1 byte":  base64.StdEncoding.EncodeToString(append([]byte{1}, secret...)),
		"base64 after 2 bytes": base64.StdEncoding.EncodeToString(append([]byte{1, 2}, secret...)),
		"base64 in a word":     "x" + base64.StdEncoding.EncodeToString(secret),
	}
	if bytes.ContainsRune(secret, 'é') { // JSON replaces what is no text
		ways["JSON"] = string(encoded)
	}
	return ways
}

// T48: what is planted is found in each encoding, as a line, in a message of the log,
// in its values, in the values of a logger and of a group, and in an error.
func TestPlantedSecretIsFoundInEachEncoding(t *testing.T) {
	for what, secret := range map[string][]byte{"key": planted(), "text": []byte(plantedText)} {
		for form, text := range shown(secret) {
			for where, leak := range map[string]func(s *Scanner){
				"line":        func(s *Scanner) { s.Line("a line", "before "+text+" behind") },
				"message":     func(s *Scanner) { s.Logger(nil).Debug(text) },
				"value":       func(s *Scanner) { s.Logger(nil).Info("it", "value", text) },
				"trace":       func(s *Scanner) { s.Logger(nil).Log(context.Background(), slog.LevelDebug-100, "it", "value", text) },
				"of a logger": func(s *Scanner) { s.Logger(nil).With("value", text).Info("it") },
				"of a group":  func(s *Scanner) { s.Logger(nil).WithGroup("g").With("value", text).WithGroup("h").Info("it", "n", 1) },
				"in a structure": func(s *Scanner) {
					s.Logger(nil).Warn("it", "value", struct{ Inner any }{&text}, "other", []string{text})
				},
				"in an error": func(s *Scanner) { s.Logger(nil).Error("it", "error", fmt.Errorf("outer: %w", errors.New(text))) },
				"event":       func(s *Scanner) { s.Value("an event", struct{ Text string }{text}) },
			} {
				var leaks []string
				s := New(func(leak string) { leaks = append(leaks, leak) })
				if what == "key" {
					s.Key(secret)
				} else {
					s.Text(secret)
				}
				leak(s)
				if len(leaks) == 0 {
					t.Errorf("%s in %s, %s: not found", what, form, where)
				}
			}
		}
	}
}

// Eight bytes of a key are a leak wherever they stand in it; of a text it is the whole.
func TestPartOfAKeyIsALeak(t *testing.T) {
	key := planted()
	for i := 0; i+window <= len(key); i++ {
		for form, text := range shown(key[i : i+window]) {
			found := 0
			s := New(func(string) { found++ })
			s.Key(key)
			s.Line("a line", text)
			if found == 0 {
				t.Errorf("bytes %d to %d, %s: not found", i, i+window, form)
			}
		}
	}
	s := New(func(leak string) { t.Error(leak) })
	s.Text([]byte(plantedText))
	s.Line("a line", plantedText[:20])
}

// What is no secret is not reported: short texts, hashes, other keys.
func TestOthersAreNoLeak(t *testing.T) {
	s := New(func(leak string) { t.Error(leak) })
	s.Key(planted())
	s.Key(make([]byte, 32))
	s.Text([]byte("hello"))
	s.Logger(nil).With("n", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}).Info("hello", "zeros", make([]byte, 64), "key", bytes.Repeat([]byte{3, 1, 4, 1, 5, 9}, 8))
	if s.Lines() == 0 {
		t.Error("nothing was looked at")
	}
}

// Whatever is read 32 bytes at a time is a key; nonces and ids are none.
func TestRandomnessIsLearned(t *testing.T) {
	found := 0
	s := New(func(string) { found++ })
	from := s.Random(bytes.NewReader(append(planted(), []byte("an IV, 16 bytes.")...)))
	key, iv := make([]byte, 32), make([]byte, 16)
	for _, b := range [][]byte{key, iv} {
		if _, err := io.ReadFull(from, b); err != nil {
			t.Fatal(err)
		}
	}
	s.Line("a line", hex.EncodeToString(iv))
	if found != 0 {
		t.Error("an IV is taken for a secret")
	}
	s.Line("a line", hex.EncodeToString(key))
	if found != 1 {
		t.Errorf("%d leaks of one key", found)
	}
}

// What is logged also goes to the next handler, at its levels.
func TestLinesGoOn(t *testing.T) {
	var out bytes.Buffer
	log := New(func(string) {}).Logger(slog.NewTextHandler(&out, nil)).WithGroup("g").With("a", 1)
	log.Debug("not this")
	log.Info("this", "b", 2)
	if text := out.String(); !strings.Contains(text, "msg=this g.a=1 g.b=2") || strings.Contains(text, "not this") {
		t.Errorf("logged: %s", text)
	}
}
