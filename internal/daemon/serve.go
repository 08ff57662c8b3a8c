package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"golang.org/x/net/netutil"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/console"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

const (
	idleTimeout = 2 * time.Minute
	maxHeader   = 16 << 10 // bytes
	// openStreams bounds what one connection of HTTP/2 may ask at once.
	openStreams = 250
)

// handler gives what answers requests; the console does so under more names of this
// host. The engine has to be served.
func (d *Daemon) handler(names ...string) http.Handler {
	options := append(
		compression(d.options.MaxBody),
		connect.WithInterceptors(statusInterceptor{d}),
		connect.WithReadMaxBytes(d.options.MaxBody),
		connect.WithCodec(strictJSON{"json"}),
		connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	)
	inside := http.NewServeMux()
	inside.Handle(apiv1.NewIdentityServiceHandler(identityService{d}, options...))
	inside.Handle(apiv1.NewContactServiceHandler(contactService{d}, options...))
	inside.Handle(apiv1.NewMessageServiceHandler(messageService{d}, options...))
	inside.Handle(apiv1.NewEventServiceHandler(eventService{d}, options...))
	inside.Handle(apiv1.NewDaemonServiceHandler(daemonService{d}, options...))
	inside.Handle(apiv1.NewWebhookServiceHandler(webhookService{d}, options...))
	inside.HandleFunc("GET "+eventsPath, d.sse)
	inside.HandleFunc("HEAD "+eventsPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodGet) // a stream that nobody can read
		w.WriteHeader(http.StatusMethodNotAllowed)
	})

	outside := http.NewServeMux()
	outside.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok\n") })
	outside.HandleFunc("GET /readyz", d.ready)
	outside.HandleFunc("GET /openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(apiv1.OpenAPI)
	})
	admitted := d.admitted(inside)
	for _, prefix := range []string{eventsPath, "/rookery.api.v1.IdentityService/", "/rookery.api.v1.ContactService/", "/rookery.api.v1.MessageService/", "/rookery.api.v1.EventService/", "/rookery.api.v1.DaemonService/", "/rookery.api.v1.WebhookService/"} {
		outside.Handle(prefix, admitted)
	}
	if d.options.Console {
		console.Register(outside, append(names, d.options.ConsoleHosts...)...)
	}
	return d.logged(outside)
}

// namesOf are those that a certificate is for.
func namesOf(certificate *tls.Certificate) []string {
	if certificate == nil || certificate.Leaf == nil {
		return nil
	}
	return certificate.Leaf.DNSNames
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // or the caller is gone
}

// ready tells whether requests are taken.
func (d *Daemon) ready(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-d.stopping:
		say(w, http.StatusServiceUnavailable, "shutting down\n")
	default:
		say(w, http.StatusOK, "ready\n")
	}
}

// Serve answers requests on a listener, which it closes, until ctx ends: then streams
// end, and requests that are at work get RequestTimeout to finish; attempts of webhooks
// end by themselves. With a certificate
// it speaks TLS, else HTTP/1.1 and HTTP/2 in the clear. The engine, whose handler is
// Handle, is closed by the caller afterwards.
func (d *Daemon) Serve(ctx context.Context, engine *rookery.Engine, listener net.Listener, certificate *tls.Certificate) error {
	defer d.feeds.end()
	defer d.webhooks.close()
	defer d.end()
	if err := d.take(context.WithoutCancel(ctx), engine); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := &http.Server{
		Handler: d.handler(namesOf(certificate)...),
		// Who is let in gets longer, see admitted. Without these, one who is not could keep
		// a connection for good with a body that never comes, or answers never read.
		ReadHeaderTimeout: d.options.HeaderTimeout,
		ReadTimeout:       d.options.HeaderTimeout,
		WriteTimeout:      d.options.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(d.options.Logger.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
		// A deadline of a stream does not end one whose whole connection is not read.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: openStreams, WriteByteTimeout: d.options.WriteTimeout},
	}
	server.Protocols.SetHTTP1(true)
	listener = netutil.LimitListener(listener, d.options.MaxConnections)
	served := make(chan error, 1)
	if certificate == nil {
		server.Protocols.SetUnencryptedHTTP2(true)
		go func() { served <- server.Serve(listener) }()
	} else {
		server.Protocols.SetHTTP2(true)
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12}
		go func() { served <- server.ServeTLS(listener, "", "") }()
	}
	select {
	case err := <-served:
		d.end()
		return errors.Join(err, server.Close())
	case <-ctx.Done():
	}
	d.end()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.options.RequestTimeout)
	defer cancel()
	switch err := server.Shutdown(closing); {
	case errors.Is(err, context.DeadlineExceeded): // callers have had their time
		d.options.Logger.LogAttrs(ctx, slog.LevelWarn, "requests were cut off at the end")
		if err := server.Close(); err != nil {
			return err
		}
	case err != nil:
		return errors.Join(err, server.Close())
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
