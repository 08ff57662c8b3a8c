package replay

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Schemas of the files that File understands.
const (
	schemaTranscript    = "status-5-secure-transport/transcript/1"
	schemaPrimitives    = "status-5-secure-transport/primitives/1"
	schemaDoubleRatchet = "status-5-secure-transport/doubleratchet/1"
)

// ErrMalformed is matched by every error about a file that cannot be replayed:
// not JSON, not one of the schemas, or with a field that is missing, of the
// wrong type or refers to a step that is not there.
var ErrMalformed = errors.New("replay: malformed recording")

// FormatError says where a recording is malformed.
type FormatError struct {
	// Where names the step, vector or field.
	Where string
	// Reason is what is wrong there.
	Reason error
}

// Error implements error.
func (e *FormatError) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrMalformed, e.Where, e.Reason)
}

// Unwrap gives the reason.
func (e *FormatError) Unwrap() error { return e.Reason }

// Is makes errors.Is(err, ErrMalformed) hold.
func (e *FormatError) Is(target error) bool { return target == ErrMalformed }

func malformed(where, format string, args ...any) error {
	return &FormatError{Where: where, Reason: fmt.Errorf(format, args...)}
}

// hexBytes is a byte string in lower-case hexadecimal.
type hexBytes []byte

var errHex = errors.New("not lower-case hexadecimal")

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hexBytes) UnmarshalText(text []byte) error {
	for _, c := range text {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return errHex
		}
	}
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return errHex
	}
	*h = b
	return nil
}

// transcript is one recorded run of several installations.
type transcript struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Steps       []step       `json:"steps"`
	FinalState  []finalState `json:"final_state"`
}

// step is a request to one installation with the reference's answer.
type step struct {
	I    int    `json:"i"`
	Cmd  string `json:"cmd"`
	Node string `json:"node"`
	// Clock is the time during the step, in nanoseconds since the epoch.
	Clock          int64    `json:"clock"`
	IdentityPriv   hexBytes `json:"identity_priv"`
	InstallationID string   `json:"installation_id"`
	Config         *config  `json:"config"`
	To             hexBytes `json:"to"`
	From           hexBytes `json:"from"`
	Identity       hexBytes `json:"identity"`
	Payload        hexBytes `json:"payload"`
	Message        hexBytes `json:"message"`
	MessageRef     *int     `json:"message_ref"`
	Bundle         hexBytes `json:"bundle"`
	BundleRef      *int     `json:"bundle_ref"`
	MessageID      string   `json:"message_id"`
	Expect         expect   `json:"expect"`
}

// config sets the limits of an installation; what is absent is the default.
type config struct {
	MaxSkip         *uint32 `json:"max_skip"`
	MaxKeep         *uint64 `json:"max_keep"`
	MaxMessageKeys  *int    `json:"max_message_keys_per_session"`
	RefreshInterval *int64  `json:"bundle_refresh_interval_ms"`
}

// expect is the reference's answer.
type expect struct {
	OK        bool   `json:"ok"`
	Error     string `json:"error"`
	ErrorKind string `json:"error_kind"`
	Panic     bool   `json:"panic"`

	IdentityPriv          hexBytes `json:"identity_priv"`
	IdentityPub           hexBytes `json:"identity_pub"`
	IdentityPubCompressed hexBytes `json:"identity_pub_compressed"`
	InstallationID        string   `json:"installation_id"`

	Message          hexBytes         `json:"message"`
	Bundle           hexBytes         `json:"bundle"`
	Parsed           *parsed          `json:"parsed"`
	Plaintext        hexBytes         `json:"plaintext"`
	Targets          []string         `json:"targets"`
	Public           bool             `json:"public"`
	SharedSecret     hexBytes         `json:"shared_secret"`
	Agreed           *bool            `json:"agreed"`
	MinVersion       *uint32          `json:"min_version"`
	PartitionedTopic *bool            `json:"partitioned_topic"`
	NewInstallations []listed         `json:"new_installations"`
	Installations    []listed         `json:"installations"`
	SharedSecrets    []identitySecret `json:"shared_secrets"`
	GeneratedKeys    []generatedKey   `json:"generated_keys"`
	Nonces           []hexBytes       `json:"nonces"`
	State            *nodeState       `json:"state"`
}

// generatedKey is a private key that the reference's key generation gave out.
type generatedKey struct {
	Purpose string   `json:"purpose"`
	For     string   `json:"for"`
	Priv    hexBytes `json:"priv"`
	Pub     hexBytes `json:"pub"`
}

type listed struct {
	// Identity is "0x" and the uncompressed key, where several identities can be
	// meant.
	Identity  string `json:"identity"`
	ID        string `json:"id"`
	Version   uint32 `json:"version"`
	Enabled   bool   `json:"enabled"`
	Timestamp int64  `json:"timestamp"`
}

type identitySecret struct {
	Identity hexBytes `json:"identity"`
	Key      hexBytes `json:"key"`
}

// parsed is the recorder's own reading of a message or of a bundle.
type parsed struct {
	InstallationID string        `json:"installation_id"`
	Bundles        []parsed      `json:"bundles"`
	Entries        []parsedEntry `json:"encrypted_message"`
	Public         hexBytes      `json:"public_message"`

	Identity  hexBytes       `json:"identity"`
	PreKeys   []parsedPreKey `json:"signed_pre_keys"`
	Signature hexBytes       `json:"signature"`
	Timestamp int64          `json:"timestamp"`
}

type parsedPreKey struct {
	InstallationID  string   `json:"installation_id"`
	Key             hexBytes `json:"signed_pre_key"`
	Version         uint32   `json:"version"`
	ProtocolVersion uint32   `json:"protocol_version"`
}

type parsedEntry struct {
	InstallationID string            `json:"installation_id"`
	X3DH           *parsedX3DHHeader `json:"x3dh_header"`
	DR             *parsedDRHeader   `json:"dr_header"`
	DHKey          hexBytes          `json:"dh_header_key"`
	HR             json.RawMessage   `json:"hr_header"`
	Payload        hexBytes          `json:"payload"`
}

type parsedX3DHHeader struct {
	Key hexBytes `json:"key"`
	ID  hexBytes `json:"id"`
}

type parsedDRHeader struct {
	Key hexBytes `json:"key"`
	N   uint32   `json:"n"`
	PN  uint32   `json:"pn"`
	ID  hexBytes `json:"id"`
}

type finalState struct {
	Node  string     `json:"node"`
	State *nodeState `json:"state"`
}

// nodeState is the part of the reference's database that has a counterpart in
// our sessions.
type nodeState struct {
	Sessions    []sessionState    `json:"sessions"`
	MessageKeys []messageKeyState `json:"message_keys"`
}

// messageKeyState is a message key that the reference keeps: skipped, or used
// and waiting for its confirmation.
type messageKeyState struct {
	SessionID  hexBytes `json:"session_id"`
	PublicKey  hexBytes `json:"public_key"`
	MsgNum     uint32   `json:"msg_num"`
	SeqNum     uint64   `json:"seq_num"`
	MessageKey hexBytes `json:"message_key"`
}

type sessionState struct {
	// ID is the signed prekey (33 bytes) and the peer's installation id.
	ID           hexBytes `json:"id"`
	DHr          hexBytes `json:"dhr"`
	DHsPublic    hexBytes `json:"dhs_public"`
	DHsPrivate   hexBytes `json:"dhs_private"`
	RootChainKey hexBytes `json:"root_chain_key"`
	SendChainKey hexBytes `json:"send_chain_key"`
	SendChainN   uint32   `json:"send_chain_n"`
	RecvChainKey hexBytes `json:"recv_chain_key"`
	RecvChainN   uint32   `json:"recv_chain_n"`
	PN           uint32   `json:"pn"`
	KeysCount    uint64   `json:"keys_count"`
}

func parseTranscript(data []byte) (*transcript, error) {
	var t transcript
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, &FormatError{Where: "transcript", Reason: err}
	}
	if len(t.Steps) == 0 {
		return nil, malformed("transcript", "no steps")
	}
	for i := range t.Steps {
		if err := t.resolve(i); err != nil {
			return nil, err
		}
	}
	return &t, nil
}

// resolve checks the fields that every step needs and puts referred messages and
// bundles in their place.
func (t *transcript) resolve(i int) error {
	s := &t.Steps[i]
	where := fmt.Sprintf("step %d", i)
	switch {
	case s.I != i:
		return malformed(where, "numbered %d", s.I)
	case s.Cmd == "" || s.Node == "":
		return malformed(where, "no cmd or no node")
	case strings.HasPrefix(s.Cmd, groupPrefix) && !slices.Contains(groupCommands, s.Cmd):
		return malformed(where, "unknown cmd %.40q", s.Cmd)
	}
	if err := checkDrawn(where, s.Expect.GeneratedKeys, s.Expect.Nonces); err != nil {
		return err
	}
	if ref := s.MessageRef; ref != nil {
		if *ref < 0 || *ref >= i {
			return malformed(where, "message_ref %d is not an earlier step", *ref)
		}
		s.Message = t.Steps[*ref].Expect.Message
	}
	if ref := s.BundleRef; ref != nil {
		if *ref < 0 || *ref >= i {
			return malformed(where, "bundle_ref %d is not an earlier step", *ref)
		}
		s.Bundle = t.Steps[*ref].Expect.Bundle
	}
	return nil
}
