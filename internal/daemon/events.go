package daemon

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/rookery-im/rookery"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// maxAcks bounds one request.
const maxAcks = 1000

// eventService implements the EventService.
type eventService struct{ *Daemon }

// StreamEvents implements apiv1.EventServiceHandler.
func (s eventService) StreamEvents(ctx context.Context, r *apiv1.StreamEventsRequest, stream *connect.ServerStream[apiv1.StreamEventsResponse]) error {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return err
	}
	return s.follow(ctx, i, r.GetAfter(), func(event *apiv1.Event) error {
		return stream.Send(&apiv1.StreamEventsResponse{Event: event})
	})
}

// AckEvents implements apiv1.EventServiceHandler.
func (s eventService) AckEvents(ctx context.Context, r *apiv1.AckEventsRequest) (*apiv1.AckEventsResponse, error) {
	i, err := s.identity(ctx, r.GetIdentity())
	if err != nil {
		return nil, err
	}
	if len(r.GetIds()) > maxAcks {
		return nil, fmt.Errorf("%w: %d events, at most %d", errTooMany, len(r.GetIds()), maxAcks)
	}
	n := s.feeds.of(keyOf(i)).acknowledge(r.GetIds())
	return &apiv1.AckEventsResponse{Acknowledged: int32(n)}, nil //nolint:gosec // at most maxAcks
}

// follow sends the events of an identity behind a cursor, and what happens, until the
// caller is gone, or may not listen any more. nil is sent as a sign of life, first of
// all and when nothing has happened for a while.
func (d *Daemon) follow(ctx context.Context, i *rookery.Identity, after string, send func(*apiv1.Event) error) error {
	f := d.feeds.of(keyOf(i))
	at, err := f.begin(after)
	if err != nil {
		return err
	}
	if err := send(nil); err != nil {
		return err
	}
	tick := time.NewTicker(d.options.SignOfLife)
	defer tick.Stop()
	quiet := true // since the last tick
	for {
		event, missed, changed, err := f.next(&at, "")
		switch {
		case err != nil:
			return err
		case missed > 0:
			err = send(&apiv1.Event{
				Type: apiv1.EventType_EVENT_TYPE_MISSED, Cursor: f.cursor(at), Identity: i.PublicKey().String(),
				Installation: i.InstallationID(), Count: int64(missed), //nolint:gosec // a count
			})
			changed = closed
		case event != nil:
			quiet = false
			err = send(event)
			changed = closed
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-d.stopping:
			return errStopping
		case <-tick.C:
			if err := d.options.Tokens.Still(tokenOf(ctx), d.options.Now()); err != nil {
				return err
			}
			if quiet {
				if err := send(nil); err != nil {
					return err
				}
			}
			quiet = true
		case <-changed:
		}
	}
}

// closed is closed.
var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
