package replay

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
)

// Names of the files of transport vectors in reports. These files carry no
// schema; what they are is told by their fields.
const (
	schemaEnvelopes    = "transport/envelopes"
	schemaConversation = "transport/conversation"
	schemaMessages     = "transport/messages"
	schemaLayers       = "transport/layers"
	schemaTopics       = "transport/topics"
)

// shapes tells files without a schema apart: the first that has one of the
// fields. What else stands in a file is refused by strictly.
var shapes = []struct {
	fields []string
	replay func([]byte, Stores) (*FileReport, error)
}{
	{[]string{"positive", "negative"}, pure(replayEnvelopes)},
	{[]string{"steps"}, replayConversation},
	{[]string{"messages"}, pure(replayMessages)},
	{[]string{"application_metadata", "mvds", "segments"}, pure(replayLayers)},
	{[]string{"identities", "pairs", "named", "installed_filters"}, replayTopics},
}

// pure is a replay that needs no store.
func pure(replay func([]byte) (*FileReport, error)) func([]byte, Stores) (*FileReport, error) {
	return func(data []byte, _ Stores) (*FileReport, error) { return replay(data) }
}

// replayShape replays a file of transport vectors.
func replayShape(data []byte, stores Stores) (*FileReport, error) {
	var present map[string]json.RawMessage
	if err := json.Unmarshal(data, &present); err != nil {
		return nil, &FormatError{Where: "file", Reason: err}
	}
	for _, shape := range shapes {
		for _, field := range shape.fields {
			if _, found := present[field]; found {
				return shape.replay(data, stores)
			}
		}
	}
	return nil, malformed("file", "no schema, and not of the shape of transport vectors")
}

// strictly reads JSON and refuses fields that nothing here knows: what is not
// understood must not look as if it had been checked.
func strictly(data []byte, where string, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return &FormatError{Where: where, Reason: err}
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed(where, "more than one JSON value")
	}
	return nil
}

// origin says where a file comes from, in words.
type origin struct {
	Set         json.RawMessage `json:"set"`
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Reference   json.RawMessage `json:"reference"`
	Generator   string          `json:"generator"`
}

// prefixedHex is a byte string as deployed clients print it: 0x and lower-case
// hexadecimal.
type prefixedHex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *prefixedHex) UnmarshalText(text []byte) error {
	digits, found := bytes.CutPrefix(text, []byte("0x"))
	if !found {
		return errHex
	}
	return (*hexBytes)(h).UnmarshalText(digits)
}

// databaseHex is a byte string as a database prints it, in upper case.
type databaseHex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *databaseHex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || strings.ToUpper(string(text)) != string(text) {
		return errHex
	}
	*h = b
	return nil
}

// missing gives the first name whose value is not there; an empty one is.
func missing(where string, values ...any) error {
	for i := 0; i+1 < len(values); i += 2 {
		if b, _ := values[i+1].(hexBytes); b == nil {
			return malformed(where, "no %s", values[i])
		}
	}
	return nil
}
