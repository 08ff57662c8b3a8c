package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"

	"github.com/rookery-im/rookery/internal/daemon/token"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// streamed are the paths of what goes on for as long as the caller likes.
var streamed = map[string]bool{
	eventsPath:                              true,
	apiv1.EventServiceStreamEventsProcedure: true,
	apiv1.DaemonServiceBackupProcedure:      true,
}

// errBody: a request is too large, or does not come.
var errBody = errors.New("body of the request")

// admitted lets requests in that have a token, and not too many; bounds what they send
// and how long they take.
func (d *Daemon) admitted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := d.authenticate(r)
		if err == nil {
			callOf(r.Context()).token = who
			if !d.limiter(who).Allow() {
				w.Header().Set("Retry-After", "1")
				err = errRate
			}
		}
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		if streamed[r.URL.Path] {
			d.stream(w, r, next)
			return
		}
		release := d.place(r, who)
		if release == nil {
			w.Header().Set("Retry-After", "1")
			d.refuse(w, r, errBusy)
			return
		}
		defer release()
		controller := http.NewResponseController(w)
		over := time.Now().Add(d.options.RequestTimeout)
		err = d.deadlines(controller, over)
		if err != nil {
			d.refuse(w, r, err)
			return
		}
		ctx, cancel := context.WithDeadline(r.Context(), over)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, int64(d.options.MaxBody))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// place has room for a request and its body, nil if there is none.
func (d *Daemon) place(r *http.Request, who token.Token) (release func()) {
	one := d.requests.take(who.ID, 1)
	if one == nil {
		return nil
	}
	size := d.options.MaxBody
	if packed := r.Header.Get("Content-Encoding") != "" || r.Header.Get("Grpc-Encoding") != ""; !packed && r.ContentLength >= 0 {
		size = int(min(r.ContentLength, int64(size)))
	}
	body := d.bodies.take(who.ID, size)
	if body == nil {
		one()
		return nil
	}
	return func() {
		body()
		one()
	}
}

// deadlines has a request come, and its answer go, within bounds. What does not get so
// far has those of the server, which are shorter.
func (d *Daemon) deadlines(controller *http.ResponseController, over time.Time) error {
	return errors.Join(controller.SetReadDeadline(over), controller.SetWriteDeadline(over.Add(d.options.WriteTimeout)))
}

// stream serves a stream. Its request is short and read ahead, since no deadline for
// reading may hang over what comes then.
func (d *Daemon) stream(w http.ResponseWriter, r *http.Request, next http.Handler) {
	release := d.streams.take(tokenOf(r.Context()).ID, 1)
	if release == nil {
		d.refuse(w, r, fmt.Errorf("%w: %d, and one token not all of them", errStreams, d.options.MaxStreams))
		return
	}
	defer release()
	controller := http.NewResponseController(w)
	err := d.deadlines(controller, time.Now().Add(d.options.RequestTimeout))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxStreamRequest))
	}
	if err == nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		err = errors.Join(controller.SetReadDeadline(time.Time{}), controller.SetWriteDeadline(time.Time{}))
	}
	if err != nil {
		d.refuse(w, r, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w: it has to come in time and may have %d bytes", errBody, maxStreamRequest)))
		return
	}
	out := &response{ResponseWriter: w, status: http.StatusOK, timeout: d.options.WriteTimeout}
	next.ServeHTTP(out, r)
	_ = out.deadline(d.options.WriteTimeout) // for what is written after us
}

// maxStreamRequest is how long the request for a stream may be, in bytes.
const maxStreamRequest = 64 << 10

// authenticate gives the token of a request.
func (d *Daemon) authenticate(r *http.Request) (token.Token, error) {
	scheme, text, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return token.Token{}, errNoToken
	}
	return d.options.Tokens.Check(text, d.options.Now())
}

// refuse answers in the protocol of the request.
func (d *Daemon) refuse(w http.ResponseWriter, r *http.Request, err error) {
	told := d.told(r.Context(), err)
	if connect.CodeOf(told) == connect.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	_ = d.writer.Write(w, r, told) // or the caller is gone
}
