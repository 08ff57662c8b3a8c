package wakurest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	lightpushV1 = "/lightpush/v1/message"
	lightpushV3 = "/lightpush/v3/message"
)

// push publishes a message.
func (l *light) push(ctx context.Context, m *carrier.Message) error {
	body, err := json.Marshal(struct {
		PubsubTopic string    `json:"pubsubTopic"`
		Message     *outgoing `json:"message"`
	}{l.c.o.PubsubTopic, outgoingOf(m)})
	if err != nil {
		return err
	}
	var refused *refusal
	if !l.old.Load() {
		err := l.c.publishTo(ctx, lightpushV3, body)
		if !errors.As(err, &refused) || refused.status != http.StatusNotFound {
			return err
		}
		l.old.Store(true)
	}
	err = l.c.publishTo(ctx, lightpushV1, body)
	if errors.As(err, &refused) && refused.status == http.StatusNotFound {
		l.old.Store(false)
	}
	return err
}
