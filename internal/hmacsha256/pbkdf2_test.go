package hmacsha256

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"testing"
)

func standardPBKDF2(tb testing.TB, password, salt []byte, rounds int) []byte {
	tb.Helper()
	key, err := pbkdf2.Key(sha256.New, string(password), salt, rounds, Size)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// Every length of a password and of a salt around the boundaries of blocks.
func TestPBKDF2EqualsTheStandardLibrary(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("pbkdf2")
		for n := range 200 {
			for _, rounds := range []int{1, 2, 3, 10} {
				password, salt := drawn(source, n), drawn(source, (n*7)%150)
				var got [Size]byte
				PBKDF2(&got, password, salt, rounds)
				if !bytes.Equal(got[:], standardPBKDF2(t, password, salt, rounds)) {
					t.Errorf("password of %d bytes, salt of %d, %d rounds: %x", n, len(salt), rounds, got)
				}
			}
		}
	})
}

// RFC 7914, section 11, and the numbers of RFC 6070 under SHA-256.
func TestPBKDF2KnownAnswers(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, c := range []struct {
			password, salt string
			rounds         int
			want           string
		}{
			{"passwd", "salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"},
			{"Password", "NaCl", 80000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"},
			{"password", "salt", 4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"},
		} {
			var got [Size]byte
			PBKDF2(&got, []byte(c.password), []byte(c.salt), c.rounds)
			if !bytes.Equal(got[:], unhex(t, c.want)) {
				t.Errorf("%s, %d rounds: %x, want %s", c.password, c.rounds, got, c.want)
			}
		}
	})
}

func TestPBKDF2ChangesNoInput(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		source := seeded("inputs")
		for _, n := range []int{31, 64, 65} {
			password, salt := drawn(source, n), drawn(source, 20)
			passwordBefore, saltBefore := bytes.Clone(password), bytes.Clone(salt)
			var first, second [Size]byte
			PBKDF2(&first, password, salt, 5)
			PBKDF2(&second, password, salt, 5)
			if first != second || !bytes.Equal(password, passwordBefore) || !bytes.Equal(salt, saltBefore) {
				t.Errorf("password of %d bytes: the second time another key or other inputs", n)
			}
		}
	})
}

func TestPBKDF2OfNoRoundPanics(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, rounds := range []int{0, -1} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%d rounds give a key", rounds)
					}
				}()
				PBKDF2(new([Size]byte), nil, nil, rounds)
			}()
		}
	})
}

// The key of a topic of the deployed network, from the name of one.
func BenchmarkPBKDF2(b *testing.B) {
	password := bytes.Repeat([]byte{'a'}, 145)
	var out [Size]byte
	b.Run("standard library", func(b *testing.B) {
		for b.Loop() {
			_, _ = pbkdf2.Key(sha256.New, string(password), nil, 65356, Size)
		}
	})
	b.Run("here", func(b *testing.B) {
		benchmarkEveryPath(b, func() { PBKDF2(&out, password, nil, 65356) })
	})
}
