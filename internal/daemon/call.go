package daemon

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/rookery-im/rookery/internal/daemon/token"
)

// call is what is known of one request while it is at work.
type call struct {
	id    string
	token token.Token
	ended string // what an error said to the caller
}

type callKey struct{}

// callOf gives the call of a context that a request has, or an empty one.
func callOf(ctx context.Context) *call {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c
	}
	return new(call)
}

func tokenOf(ctx context.Context) token.Token { return callOf(ctx).token }

const requestIDHeader = "X-Request-Id"

// requestID is what callers may choose: it goes into logs as it is.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// logged gives each request an id and writes a line about it when it is over.
func (d *Daemon) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		c := &call{id: r.Header.Get(requestIDHeader)}
		if !requestID.MatchString(c.id) {
			c.id = newRequestID()
		}
		w.Header().Set(requestIDHeader, c.id)
		out := &response{ResponseWriter: w, status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		cut := d.serve(next, out, r)
		attributes := []slog.Attr{
			slog.String("request_id", c.id), slog.String("method", r.Method), slog.String("path", shownPath(r)),
			slog.Int("status", out.status), slog.Float64("took_ms", float64(time.Since(begun).Microseconds())/1000),
		}
		if c.token.ID != "" {
			attributes = append(attributes, slog.String("token", c.token.ID))
		}
		if c.ended != "" {
			attributes = append(attributes, slog.String("ended", c.ended))
		}
		d.options.Logger.LogAttrs(r.Context(), slog.LevelInfo, "request", attributes...)
		if cut {
			panic(http.ErrAbortHandler) // which net/http takes for that
		}
	})
}

// serve has a handler answer. If it panics the caller is told what he is told of other
// errors that nobody foresaw, or has to be cut off if his answer has begun.
func (d *Daemon) serve(next http.Handler, w *response, r *http.Request) (cut bool) {
	defer func() {
		reason := recover()
		if reason == nil {
			return
		}
		told := d.told(r.Context(), fmt.Errorf("%w: %v\n%s", errPanic, reason, debug.Stack()))
		if cut = w.begun; !cut {
			d.refuse(w, r, told)
		}
	}()
	next.ServeHTTP(w, r)
	return false
}

var errPanic = errors.New("panic")

// shownPath is the path of a request if it is one that is served: others may hold
// anything, such as a token.
func shownPath(r *http.Request) string {
	switch {
	case r.Pattern == "":
		return "unknown"
	case strings.HasSuffix(r.Pattern, "/") && !procedures[r.URL.Path]:
		return r.Pattern
	}
	return r.URL.Path
}

// procedures are the paths of the API's methods.
var procedures = func() map[string]bool {
	all := make(map[string]bool)
	protoregistry.GlobalFiles.RangeFilesByPackage("rookery.api.v1", func(file protoreflect.FileDescriptor) bool {
		for s := range file.Services().Len() {
			service := file.Services().Get(s)
			for m := range service.Methods().Len() {
				all["/"+string(service.FullName())+"/"+string(service.Methods().Get(m).Name())] = true
			}
		}
		return true
	})
	return all
}()

// unforeseen logs an error whose cause callers do not get to know.
func (d *Daemon) unforeseen(ctx context.Context, err error) {
	if err != nil {
		d.options.Logger.LogAttrs(ctx, slog.LevelError, "unforeseen error", slog.String("request_id", callOf(ctx).id), slog.String("error", err.Error()))
	}
}

// told gives callers the status of an error.
func (d *Daemon) told(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	has, unforeseen := status(err)
	d.unforeseen(ctx, unforeseen)
	callOf(ctx).ended = has.Code().String() + ": " + has.Message()
	return has
}

// statusInterceptor gives the errors of the services their status.
type statusInterceptor struct{ *Daemon }

// WrapUnary implements connect.Interceptor.
func (s statusInterceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, r)
		if err != nil {
			return nil, s.told(ctx, err)
		}
		return response, nil
	}
}

// WrapStreamingClient implements connect.Interceptor: there are no clients here.
func (statusInterceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (s statusInterceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, stream connect.StreamingHandlerConn) error {
		return s.told(ctx, next(ctx, stream))
	}
}
