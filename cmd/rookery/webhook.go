package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// WebhookCmd is what operators do with the webhooks of a daemon that runs, which it asks
// for it over its API.
type WebhookCmd struct {
	Create    WebhookCreateCmd    `cmd:"" help:"Have the events of an identity posted to a URL, and print the secret once. Needs an admin token."`
	List      WebhookListCmd      `cmd:"" help:"List the webhooks of an identity, or all with an admin token."`
	Resume    WebhookResumeCmd    `cmd:"" help:"Try at once; also one that was disabled. Needs an admin token."`
	Delete    WebhookDeleteCmd    `cmd:"" help:"End a webhook. Needs an admin token."`
	Dead      WebhookDeadCmd      `cmd:"" help:"List the dead letters of a webhook: events that its endpoint has not taken."`
	Redeliver WebhookRedeliverCmd `cmd:"" help:"Try dead letters once more."`
	Drop      WebhookDropCmd      `cmd:"" help:"Delete dead letters for good."`
}

// daemonClient is how a daemon is asked.
type daemonClient struct {
	Daemon    string `name:"daemon" default:"http://127.0.0.1:7330" env:"ROOKERY_URL" placeholder:"URL" help:"Where the daemon serves (${default}; ROOKERY_URL)."`
	TokenFile string `name:"token-file" type:"path" placeholder:"FILE" help:"A file with the token; else ROOKERY_TOKEN has it."`
	JSON      bool   `name:"json" help:"Write one JSON object per line instead of text."`
}

var errNoToken = errors.New("no token: give --token-file, or set ROOKERY_TOKEN")

const (
	// askPatience is how long the daemon may take to answer.
	askPatience = 5 * time.Minute
	maxToken    = 4 << 10 // bytes of a file with one
)

// webhooks is a client for one run of a command.
func (c *daemonClient) webhooks() (apiv1.WebhookServiceClient, context.Context, func(), error) {
	text := os.Getenv("ROOKERY_TOKEN")
	if c.TokenFile != "" {
		content, err := readBounded(c.TokenFile, maxToken)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("--token-file: %w", err)
		}
		text = string(content)
	}
	if text = strings.TrimSpace(text); text == "" {
		return nil, nil, nil, errNoToken
	}
	ctx, stop := interruptible()
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	// A redirect may lead to another host, which must not be shown the token.
	client := &http.Client{Transport: bearer{text}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return apiv1.NewWebhookServiceClient(client, strings.TrimSuffix(c.Daemon, "/")), ctx, func() {
		cancel()
		stop()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections() //nolint:forcetypeassert // nobody changes it
	}, nil
}

// readBounded reads a short file.
func readBounded(path string, most int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, most))
}

// bearer shows a token with each request.
type bearer struct{ token string }

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return http.DefaultTransport.RoundTrip(r)
}

// ask has a command ask the daemon and show what it answers.
func (c *daemonClient) ask(out *output, do func(context.Context, apiv1.WebhookServiceClient) ([]view, error)) error {
	client, ctx, end, err := c.webhooks()
	if err != nil {
		return err
	}
	defer end()
	views, err := do(ctx, client)
	for _, v := range views {
		if c.JSON {
			if err := writeJSON(out.stdout, v); err != nil {
				return err
			}
		} else {
			v.print(out.stdout)
		}
	}
	return err
}

// webhookOf is one webhook of an identity.
type webhookOf struct {
	daemonClient
	Identity string `name:"identity" required:"" env:"ROOKERY_IDENTITY" placeholder:"KEY" help:"The public key of the identity (ROOKERY_IDENTITY)."`
	ID       string `arg:"" help:"The id of the webhook, as rookery webhook list shows it."`
}

// letters says which dead letters.
type letters struct {
	Events []string `arg:"" optional:"" help:"Ids of events, as rookery webhook dead shows them."`
	All    bool     `name:"all" help:"All of them."`
}

// WebhookCreateCmd makes one.
type WebhookCreateCmd struct {
	daemonClient
	Identity string `name:"identity" required:"" env:"ROOKERY_IDENTITY" placeholder:"KEY" help:"The public key of the identity (ROOKERY_IDENTITY)."`
	Notices  bool   `name:"notices" help:"Post events that are not durable, too (docs/events.md)."`
	URL      string `arg:"" help:"https, or http to this host."`
}

// Run implements kong's command.
func (c *WebhookCreateCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		r, err := client.CreateWebhook(ctx, &apiv1.CreateWebhookRequest{Identity: c.Identity, Url: c.URL, Notices: c.Notices})
		if err != nil {
			return nil, err
		}
		v := viewWebhook(r.GetWebhook())
		v.Secret = r.GetSecret()
		return []view{v}, nil
	})
}

// WebhookListCmd lists them.
type WebhookListCmd struct {
	daemonClient
	Identity string `name:"identity" env:"ROOKERY_IDENTITY" placeholder:"KEY" help:"The public key of the identity; without it all (ROOKERY_IDENTITY)."`
}

// Run implements kong's command.
func (c *WebhookListCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		r, err := client.ListWebhooks(ctx, &apiv1.ListWebhooksRequest{Identity: c.Identity})
		var views []view
		for _, w := range r.GetWebhooks() {
			views = append(views, viewWebhook(w))
		}
		return views, err
	})
}

// WebhookResumeCmd has one try again.
type WebhookResumeCmd struct{ webhookOf }

// Run implements kong's command.
func (c *WebhookResumeCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		r, err := client.ResumeWebhook(ctx, &apiv1.ResumeWebhookRequest{Identity: c.Identity, Id: c.ID})
		if err != nil {
			return nil, err
		}
		return []view{viewWebhook(r.GetWebhook())}, nil
	})
}

// WebhookDeleteCmd ends one.
type WebhookDeleteCmd struct {
	webhookOf
	Discard bool `name:"discard-dead-letters" help:"Also if it has dead letters, which are deleted with it."`
}

// Run implements kong's command.
func (c *WebhookDeleteCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		_, err := client.DeleteWebhook(ctx, &apiv1.DeleteWebhookRequest{Identity: c.Identity, Id: c.ID, DiscardDeadLetters: c.Discard})
		return nil, err
	})
}

// WebhookDeadCmd lists dead letters.
type WebhookDeadCmd struct{ webhookOf }

// Run implements kong's command.
func (c *WebhookDeadCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		var views []view
		request := &apiv1.ListDeadLettersRequest{Identity: c.Identity, Id: c.ID}
		for {
			r, err := client.ListDeadLetters(ctx, request)
			if err != nil {
				return views, err
			}
			for _, l := range r.GetDeadLetters() {
				views = append(views, viewLetter(l))
			}
			if request.PageToken = r.GetNextPageToken(); request.GetPageToken() == "" {
				return views, nil
			}
		}
	})
}

// WebhookRedeliverCmd tries dead letters again.
type WebhookRedeliverCmd struct {
	webhookOf
	letters
}

var errNotRedelivered = fmt.Errorf("%w: not all were delivered", errBadResult)

// Run implements kong's command.
func (c *WebhookRedeliverCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		r, err := client.RedeliverDeadLetters(ctx, &apiv1.RedeliverDeadLettersRequest{Identity: c.Identity, Id: c.ID, EventIds: c.Events, All: c.All})
		if err != nil {
			return nil, err
		}
		if len(r.GetFailed()) > 0 || r.GetUntried() > 0 {
			err = errNotRedelivered
		}
		v := redeliveredView{Delivered: r.GetDelivered(), Untried: r.GetUntried()}
		for _, l := range r.GetFailed() {
			v.Failed = append(v.Failed, viewLetter(l))
		}
		return []view{v}, err
	})
}

// WebhookDropCmd deletes dead letters.
type WebhookDropCmd struct {
	webhookOf
	letters
}

// Run implements kong's command.
func (c *WebhookDropCmd) Run(out *output) error {
	return c.ask(out, func(ctx context.Context, client apiv1.WebhookServiceClient) ([]view, error) {
		r, err := client.DropDeadLetters(ctx, &apiv1.DropDeadLettersRequest{Identity: c.Identity, Id: c.ID, EventIds: c.Events, All: c.All})
		if err != nil {
			return nil, err
		}
		return []view{droppedView{r.GetDropped()}}, nil
	})
}
