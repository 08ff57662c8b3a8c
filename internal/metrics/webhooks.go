package metrics

import (
	"fmt"

	"go.opentelemetry.io/otel/metric"
)

// WebhookReading is what the webhooks of a daemon have done, and how they are at the
// moment that somebody asks.
type WebhookReading struct {
	Attempts                      []Labelled // so far, by their outcomes
	Buried                        int64      // dead letters that came about so far
	Delivering, Failing, Disabled int64      // webhooks at present
	DeadLetters                   int64      // at present
}

const labelState = "state"

var webhookObservations = []observation[WebhookReading]{
	{"rookery.webhook.attempts", counter, "{attempt}", labelOutcome, "Attempts to post an event to the endpoint of a webhook.", func(r *WebhookReading) []Labelled { return r.Attempts }},
	{"rookery.webhook.buried", counter, "{event}", "", "Events that became dead letters.", func(r *WebhookReading) []Labelled { return []Labelled{{N: r.Buried}} }},
	{"rookery.webhook.dead_letters", gauge, "{event}", "", "Dead letters that are kept.", func(r *WebhookReading) []Labelled { return []Labelled{{N: r.DeadLetters}} }},
	{"rookery.webhooks", gauge, "{webhook}", labelState, "Webhooks by how they are.", func(r *WebhookReading) []Labelled {
		return []Labelled{{"delivering", r.Delivering}, {"failing", r.Failing}, {"disabled", r.Disabled}}
	}},
}

// Webhooks makes the instruments of the webhooks of a daemon, beside those of its engine.
// read is called when somebody asks, on any goroutine, until close. The error is one of
// the provider.
func Webhooks(provider metric.MeterProvider, read func() WebhookReading) (closed func() error, err error) {
	registration, err := register(provider.Meter(Scope), webhookObservations, read)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return registration.Unregister, nil
}
