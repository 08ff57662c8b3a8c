package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func secretOf(t *testing.T, key []byte) Secret {
	t.Helper()
	s, err := SecretOf(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func counting() []byte {
	key := make([]byte, secretSize)
	for n := range key {
		key[n] = byte(n)
	}
	return key
}

// The signature was made by hand:
//
//	printf 'm-02ab-cd.1700000000.{"id":"m-02ab-cd","payload":"aGVsbG8="}' |
//	openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f -binary | base64
func TestSignatureIsThatOfStandardWebhooks(t *testing.T) {
	s := secretOf(t, counting())
	if got, want := s.Text(), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="; got != want {
		t.Errorf("secret %s, want %s", got, want)
	}
	got := s.Sign("m-02ab-cd", time.Unix(1700000000, 999), []byte(`{"id":"m-02ab-cd","payload":"aGVsbG8="}`))
	if want := "v1,TfdpJXuwrwvw/s9THfhzAQ1S4QkeeCf9Ad/ekVR3Pkw="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

// What is signed here the library of Standard Webhooks verifies, and nothing else of it.
func TestStandardLibraryVerifiesWhatIsSigned(t *testing.T) {
	s := NewSecret()
	verifier, err := standardwebhooks.NewWebhook(s.Text())
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":"m-1"}`)
	headers := make(http.Header)
	s.sign(headers, "m-1", time.Now(), body)
	if err := verifier.Verify(body, headers); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(http.Header){
		"id":        func(h http.Header) { h.Set(HeaderID, "m-2") },
		"time":      func(h http.Header) { h.Set(HeaderTimestamp, "1700000000") },
		"signature": func(h http.Header) { h.Set(HeaderSignature, NewSecret().Sign("m-1", time.Now(), body)) },
	} {
		other := headers.Clone()
		change(other)
		if verifier.Verify(body, other) == nil {
			t.Errorf("with another %s it is verified", name)
		}
	}
	if verifier.Verify(append(body, ' '), headers) == nil {
		t.Error("with another body it is verified")
	}
}

func TestSecretIsShownByTextAlone(t *testing.T) {
	s := NewSecret()
	if NewSecret() == s {
		t.Error("two secrets are one")
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		if shown := fmt.Sprintf(format, s) + fmt.Sprintf(format, &s) + fmt.Sprintf(format, Delivery{Secret: s}); strings.Contains(shown, s.Text()[6:20]) || strings.Contains(shown, fmt.Sprint(s.Bytes()[:4])[1:8]) || strings.Contains(shown, fmt.Sprintf("%x", s.Bytes()[:4])) {
			t.Errorf("%s shows it", format)
		}
	}
	for _, size := range []int{0, 31, 33} {
		if _, err := SecretOf(make([]byte, size)); !errors.Is(err, ErrSecret) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
