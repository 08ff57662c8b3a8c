package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of Standard Webhooks.
const (
	HeaderID        = "webhook-id"        // names the event, the same with each attempt
	HeaderTimestamp = "webhook-timestamp" // of the attempt, seconds since 1970
	HeaderSignature = "webhook-signature" // "v1," and the signature in base64
)

const (
	secretPrefix = "whsec_"
	secretSize   = 32 // bytes
)

// ErrSecret: it is no secret of a webhook.
var ErrSecret = errors.New("secret of a webhook")

// Secret signs deliveries. It is shown to nobody but by Text.
type Secret struct{ key [secretSize]byte }

// NewSecret draws one.
func NewSecret() Secret {
	var s Secret
	_, _ = rand.Read(s.key[:]) // never fails
	return s
}

// SecretOf takes the bytes of one. ErrSecret.
func SecretOf(key []byte) (Secret, error) {
	if len(key) != secretSize {
		return Secret{}, fmt.Errorf("%w: %d bytes", ErrSecret, len(key))
	}
	return Secret{[secretSize]byte(key)}, nil
}

// Bytes are what SecretOf takes, 32 of them.
func (s Secret) Bytes() []byte { return s.key[:] }

// Text is the secret as receivers need it: "whsec_" and base64.
func (s Secret) Text() string { return secretPrefix + base64.StdEncoding.EncodeToString(s.key[:]) }

// Format implements fmt.Formatter without the secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("secret of a webhook")) }

// Sign gives the signature of a delivery: HMAC-SHA256 of "id.timestamp.body". The id has
// no dot.
func (s Secret) Sign(id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, s.key[:])
	_, _ = fmt.Fprintf(mac, "%s.%d.", id, at.Unix())
	_, _ = mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign puts the three headers there.
func (s Secret) sign(to http.Header, id string, at time.Time, body []byte) {
	to.Set(HeaderID, id)
	to.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	to.Set(HeaderSignature, s.Sign(id, at, body))
}

// signable tells whether an id can be signed without another reading.
func signable(id string) bool { return id != "" && !strings.Contains(id, ".") }
