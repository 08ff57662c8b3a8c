package token

import (
	"errors"
	"testing"
)

// Of all texts one is good.
func FuzzCheck(f *testing.F) {
	folder := Of(f.TempDir())
	_, text, err := folder.Create(Token{Admin: true}, now)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", text, text + "\n", text[:len(text)-1], "rookery_../../../../../etc_" + text[len(text)-64:]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, guess string) {
		if _, err := folder.Check(guess, now); guess != text && !errors.Is(err, ErrUnknown) || guess == text && err != nil {
			t.Errorf("%q: %v", guess, err)
		}
	})
}
