package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/alecthomas/kong"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon"
	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/daemon/webhook"
	"github.com/rookery-im/rookery/internal/metrics"
)

// ServeCmd is the daemon.
type ServeCmd struct {
	host
	metricsFlags
	Config         configFile    `name:"config" type:"path" env:"ROOKERY_CONFIG" placeholder:"FILE" help:"A file with flags by their names, such as listen: 127.0.0.1:7330, one a line (YAML). Flags and environment win over it (ROOKERY_CONFIG)."`
	PrintConfig    bool          `name:"print-config" help:"Say what holds and where it is from, and end."`
	Listen         string        `name:"listen" default:"127.0.0.1:7330" env:"ROOKERY_LISTEN" placeholder:"HOST:PORT" help:"Where to serve (${default}; ROOKERY_LISTEN)."`
	Public         bool          `name:"public" env:"ROOKERY_PUBLIC" help:"Let --listen be an address that other machines reach (ROOKERY_PUBLIC)."`
	TLSCert        string        `name:"tls-cert" type:"path" env:"ROOKERY_TLS_CERT" placeholder:"FILE" help:"Certificate chain in PEM (ROOKERY_TLS_CERT)."`
	TLSKey         string        `name:"tls-key" type:"path" env:"ROOKERY_TLS_KEY" placeholder:"FILE" help:"Its private key in PEM (ROOKERY_TLS_KEY)."`
	Insecure       bool          `name:"insecure" env:"ROOKERY_INSECURE" help:"Serve other machines without TLS: tokens and messages can be read on the way (ROOKERY_INSECURE)."`
	Console        bool          `name:"console" default:"true" negatable:"" env:"ROOKERY_CONSOLE" help:"Serve the console, a web page, at /console/; who looks at it needs a token (--no-console; ROOKERY_CONSOLE)."`
	ConsoleHost    []string      `name:"console-host" env:"ROOKERY_CONSOLE_HOST" placeholder:"NAME" help:"Another name of this host under which browsers get the console, such as that of a proxy in front (ROOKERY_CONSOLE_HOST)."`
	LogFormat      string        `name:"log-format" enum:"text,json" default:"text" env:"ROOKERY_LOG_FORMAT" help:"text or json (ROOKERY_LOG_FORMAT)."`
	LogLevel       slog.Level    `name:"log-level" default:"INFO" env:"ROOKERY_LOG_LEVEL" help:"DEBUG, INFO, WARN or ERROR (ROOKERY_LOG_LEVEL)."`
	RequestTimeout time.Duration `name:"request-timeout" default:"1m" env:"ROOKERY_REQUEST_TIMEOUT" help:"How long a request may take that is no stream, and how long shutting down waits for it (ROOKERY_REQUEST_TIMEOUT)."`
	WriteTimeout   time.Duration `name:"write-timeout" default:"30s" env:"ROOKERY_WRITE_TIMEOUT" help:"How long a caller may leave a stream unread (ROOKERY_WRITE_TIMEOUT)."`
	MaxConnections int           `name:"max-connections" default:"4096" env:"ROOKERY_MAX_CONNECTIONS" help:"Connections at a time; more wait (ROOKERY_MAX_CONNECTIONS)."`
	MaxRequests    int           `name:"max-requests" default:"1024" env:"ROOKERY_MAX_REQUESTS" help:"Requests at a time (ROOKERY_MAX_REQUESTS)."`
	MaxStreams     int           `name:"max-streams" default:"1024" env:"ROOKERY_MAX_STREAMS" help:"Streams of events at a time (ROOKERY_MAX_STREAMS)."`
	Rate           float64       `name:"rate" default:"1000" env:"ROOKERY_RATE" help:"Requests a second for each token (ROOKERY_RATE)."`
	Burst          int           `name:"burst" default:"2000" env:"ROOKERY_BURST" help:"Requests at once for each token (ROOKERY_BURST)."`
	webhookFlags
}

// webhookFlags are about the webhooks of the daemon.
type webhookFlags struct {
	MaxWebhooks     int            `name:"max-webhooks" default:"4096" env:"ROOKERY_MAX_WEBHOOKS" help:"Webhooks of all identities (ROOKERY_MAX_WEBHOOKS)."`
	WebhookTimeout  time.Duration  `name:"webhook-timeout" default:"15s" env:"ROOKERY_WEBHOOK_TIMEOUT" help:"How long an attempt to post an event may take (ROOKERY_WEBHOOK_TIMEOUT)."`
	WebhookRefusals int            `name:"webhook-refusals" default:"10" env:"ROOKERY_WEBHOOK_REFUSALS" help:"How often an endpoint may refuse an event before it is a dead letter (ROOKERY_WEBHOOK_REFUSALS)."`
	WebhookPatience time.Duration  `name:"webhook-patience" default:"72h" env:"ROOKERY_WEBHOOK_PATIENCE" help:"How long an event is tried in all before it is one (ROOKERY_WEBHOOK_PATIENCE)."`
	WebhookAllow    []netip.Prefix `name:"webhook-allow" env:"ROOKERY_WEBHOOK_ALLOW" placeholder:"CIDR" help:"Ranges of addresses, such as 10.0.0.0/8, where endpoints may be although they are not public (ROOKERY_WEBHOOK_ALLOW)."`
	WebhookInsecure bool           `name:"webhook-insecure" env:"ROOKERY_WEBHOOK_INSECURE" help:"Let endpoints on other hosts be http: messages can be read on the way (ROOKERY_WEBHOOK_INSECURE)."`
}

var (
	errBounds  = errors.New("bounds and times have to be above 0")
	errTLSPair = errors.New("--tls-cert and --tls-key go together")
)

// Run implements kong's command.
func (c *ServeCmd) Run(parsed *kong.Context, out *output) error {
	if c.PrintConfig {
		return c.printConfig(parsed, out)
	}
	if min(c.RequestTimeout, c.WriteTimeout, c.WebhookTimeout, c.WebhookPatience) <= 0 ||
		min(c.MaxConnections, c.MaxRequests, c.MaxStreams, c.Burst, c.MaxWebhooks, c.WebhookRefusals) <= 0 || c.Rate <= 0 {
		return errBounds
	}
	certificate, err := c.certificate()
	if err != nil {
		return err
	}
	if err := daemon.CheckAddress(c.Listen, c.Public, certificate != nil, c.Insecure); err != nil {
		return explained(err)
	}
	logger := c.logger(out)
	d := daemon.New(daemon.Options{
		Tokens: token.Of(c.Dir), Logger: logger, RequestTimeout: c.RequestTimeout, WriteTimeout: c.WriteTimeout,
		MaxConnections: c.MaxConnections, MaxRequests: c.MaxRequests, MaxStreams: c.MaxStreams, Rate: c.Rate, Burst: c.Burst,
		MaxWebhooks: c.MaxWebhooks, WebhookTimeout: c.WebhookTimeout, WebhookRefusals: c.WebhookRefusals, WebhookPatience: c.WebhookPatience,
		WebhookReach: webhook.Reach{Insecure: c.WebhookInsecure, Allowed: c.WebhookAllow},
		Console:      c.Console, ConsoleHosts: append(c.ConsoleHost, hostOf(c.Listen)),
	})
	ctx, stop := interruptible()
	defer stop()
	server, err := c.metricsFlags.serve(ctx, out, d.Reader())
	if err != nil {
		return err
	}
	defer server.close()
	unmeasured, err := metrics.Webhooks(server.provider(), d.WebhookReading)
	if err != nil {
		return err
	}
	defer func() { _ = unmeasured() }() // the process ends
	needed := needs{network: true, makes: true, handler: d.Handle, meters: server.provider(), logger: logger}
	return c.run(ctx, out, needed, func(ctx context.Context, engine *rookery.Engine) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		logger.Info("serving", "address", listener.Addr().String(), "tls", certificate != nil, "identities", len(engine.Identities()), "console", c.Console)
		err = d.Serve(ctx, engine, listener, certificate)
		logger.Info("closing")
		return err
	})
}

// hostOf is the name or address of HOST:PORT.
func hostOf(address string) string {
	host, _, _ := net.SplitHostPort(address) // it was checked
	return host
}

func (c *ServeCmd) certificate() (*tls.Certificate, error) {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return nil, errTLSPair
	}
	if c.TLSCert == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return &pair, nil
}

func (c *ServeCmd) logger(out *output) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(out.progress.to, options))
	}
	return slog.New(slog.NewTextHandler(out.progress.to, options))
}
