package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/keep"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
	"github.com/rookery-im/rookery/proto/record"
)

// webhooksCollection has the webhooks among the records that the engine keeps for us,
// under their ids. The secret has to be read again, so it is sealed as all of them are.
const webhooksCollection = "webhooks"

// lettersCollection has the dead letters of a webhook.
func lettersCollection(id string) string { return "dead letters of " + id }

// letterName names a dead letter: one event of one installation.
func letterName(event *apiv1.Event) string {
	of := sha256.Sum256([]byte(event.GetInstallation() + "/" + event.GetId()))
	return hex.EncodeToString(of[:])
}

// decodeWebhook reads the record of a webhook.
func decodeWebhook(r keep.Record) (*record.Webhook, rookery.PublicKey, webhook.Secret, error) {
	var w record.Webhook
	err := proto.Unmarshal(r.Value, &w)
	if err == nil && w.GetId() != r.Name {
		err = errNotNamed
	}
	var secret webhook.Secret
	if err == nil {
		secret, err = webhook.SecretOf(w.GetSecret())
	}
	var key rookery.PublicKey
	if err == nil && len(w.GetIdentity()) != len(key) {
		err = rookery.ErrPublicKey
	}
	if err != nil {
		return nil, key, secret, fmt.Errorf("webhook %s: %w", r.Name, err)
	}
	return &w, rookery.PublicKey(w.GetIdentity()), secret, nil
}

// decodeLetter reads a dead letter.
func decodeLetter(r keep.Record) (*record.DeadLetter, *apiv1.Event, error) {
	var d record.DeadLetter
	event := new(apiv1.Event)
	err := proto.Unmarshal(r.Value, &d)
	if err == nil {
		err = proto.Unmarshal(d.GetEvent(), event)
	}
	if err == nil && letterName(event) != r.Name {
		err = errNotNamed
	}
	if err != nil {
		return nil, nil, fmt.Errorf("dead letter %s: %w", r.Name, err)
	}
	return &d, event, nil
}

// recordOf is a message of protobuf as the engine keeps it.
func recordOf(collection, name string, message proto.Message) (keep.Record, error) {
	value, err := proto.Marshal(message)
	if value == nil {
		value = []byte{}
	}
	return keep.Record{Collection: collection, Name: name, Value: value}, err
}
