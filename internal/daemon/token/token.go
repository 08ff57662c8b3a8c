package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"
)

var (
	// ErrUnknown: there is no such token. What was wrong about it is not told.
	ErrUnknown = errors.New("unknown token")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("token has expired")
	// ErrScope: a token is for one identity, or it is an admin token.
	ErrScope = errors.New("a token is for one identity or for the administrator")
)

// Token is what is known of one: not the text by which it is shown.
type Token struct {
	ID       string    `json:"id"`                 // 16 hexadecimal digits; no secret
	Admin    bool      `json:"admin"`              // for everything
	Identity string    `json:"identity,omitempty"` // else for this public key, 66 hexadecimal digits
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires"` // zero: never
}

// May tells whether the token is good for an identity.
func (t Token) May(identity string) bool { return t.Admin || t.Identity == identity }

// Expired tells whether its time is over.
func (t Token) Expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

const (
	idSize     = 8  // bytes
	secretSize = 32 // bytes
)

// form is the text of a token: its id, and what nobody can guess.
var form = regexp.MustCompile(`^rookery_([0-9a-f]{16})_([0-9a-f]{64})$`)

// idForm is the id alone.
var idForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// draw makes an id and a text for it.
func draw() (id, text string) {
	var b [idSize + secretSize]byte
	_, _ = rand.Read(b[:]) // never fails
	id = hex.EncodeToString(b[:idSize])
	return id, "rookery_" + id + "_" + hex.EncodeToString(b[idSize:])
}

// kept is a token as its file has it. 256 random bits need no slow hash.
type kept struct {
	Token
	SHA256 string `json:"sha256"` // of the text
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// check compares in constant time.
func (k kept) check(text string, now time.Time) error {
	if subtle.ConstantTimeCompare([]byte(k.SHA256), []byte(hash(text))) != 1 {
		return ErrUnknown
	}
	if k.Expired(now) {
		return fmt.Errorf("%w at %s", ErrExpired, k.Expires.UTC().Format(time.RFC3339))
	}
	return nil
}
