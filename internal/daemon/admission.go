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
		select {
		case d.requests <- struct{}{}:
			defer func() { <-d.requests }()
		default:
			w.Header().Set("Retry-After", "1")
			d.refuse(w, r, errBusy)
			return
		}
		controller := http.NewResponseController(w)
		over := time.Now().Add(d.options.RequestTimeout)
		err = errors.Join(controller.SetReadDeadline(over), controller.SetWriteDeadline(over.Add(d.options.WriteTimeout)))
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

// stream serves a stream. Its request is short and read ahead, since no deadline for
// reading may hang over what comes then.
func (d *Daemon) stream(w http.ResponseWriter, r *http.Request, next http.Handler) {
	controller := http.NewResponseController(w)
	err := controller.SetReadDeadline(time.Now().Add(d.options.RequestTimeout))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxStreamRequest))
	}
	if err == nil {
		r.Body = io.NopCloser(bytes.NewReader(body))
		err = controller.SetReadDeadline(time.Time{})
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
