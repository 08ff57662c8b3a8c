package daemon

import (
	"errors"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// strictJSON is the JSON of the API. Unlike the one that Connect has, it refuses fields
// that it does not know: who misspells one gets to know it.
type strictJSON struct{ name string }

var errNoMessage = errors.New("not a protobuf message")

// Name implements connect.Codec.
func (c strictJSON) Name() string { return c.name }

// Marshal implements connect.Codec.
func (strictJSON) Marshal(message any) ([]byte, error) {
	m, ok := message.(proto.Message)
	if !ok {
		return nil, errNoMessage
	}
	return protojson.Marshal(m)
}

// Unmarshal implements connect.Codec.
func (strictJSON) Unmarshal(content []byte, message any) error {
	m, ok := message.(proto.Message)
	if !ok {
		return errNoMessage
	}
	return protojson.UnmarshalOptions{RecursionLimit: 16}.Unmarshal(content, m)
}
