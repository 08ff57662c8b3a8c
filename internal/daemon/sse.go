package daemon

import (
	"context"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// eventsPath is where events are told as Server-Sent Events.
const eventsPath = "/v1/events"

// sse serves GET /v1/events?identity=KEY: each event as the "data" of one of Server-Sent
// Events, in JSON, whose "id" is its cursor. An "end" event says why the stream is over.
func (d *Daemon) sse(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	query := r.URL.Query()
	for name := range query {
		if name != "identity" {
			d.refuse(w, r, fmt.Errorf("%w: %.40q", errParameter, name))
			return
		}
	}
	i, err := d.identity(ctx, query.Get("identity"))
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	begun := false
	controller := http.NewResponseController(w)
	write := func(text string) error {
		if !begun {
			begun = true
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return fmt.Errorf("%w: %w", errReader, err)
		}
		if err := controller.Flush(); err != nil {
			return fmt.Errorf("%w: %w", errReader, err)
		}
		return nil
	}
	err = d.follow(ctx, i, r.Header.Get("Last-Event-ID"), func(event *apiv1.Event) error {
		if event == nil {
			return write(": still here\n\n")
		}
		data, err := protojson.Marshal(event)
		if err != nil {
			return err
		}
		return write(fmt.Sprintf("id: %s\ndata: %s\n\n", event.GetCursor(), data))
	})
	if !begun {
		d.refuse(w, r, err)
		return
	}
	d.endSSE(ctx, err, write)
}

// endSSE tells why a stream is over, to who is still there.
func (d *Daemon) endSSE(ctx context.Context, err error, write func(string) error) {
	told, unforeseen := status(d.told(ctx, err))
	d.unforeseen(ctx, unforeseen)
	if ctx.Err() != nil {
		return
	}
	_ = write(fmt.Sprintf("event: end\ndata: {\"code\":%q,\"message\":%q}\n\n", told.Code().String(), told.Message()))
}
