package metrics

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Scope is the name of the meter.
const Scope = "github.com/rookery-im/rookery"

// Direction is a message's way.
type Direction int

// Messages go out or come in.
const (
	Out Direction = iota
	In
	directions
)

func (d Direction) String() string { return [...]string{"send", "receive"}[d] }

// Stage is a part of that way.
type Stage int

// The stages in their order. Messages that come in are not published.
const (
	Queue   Stage = iota // until its contact begins with it
	Crypto               // one step of the ratchet, with one installation
	Commit               // until it is durable
	Publish              // until the transport has taken it
	stages
)

func (s Stage) String() string { return [...]string{"queue", "crypto", "commit", "publish"}[s] }

// seconds are the bounds of histograms of time: three for each power of ten, from a
// ratchet step to a network that does not answer.
var seconds = []float64{
	.000002, .000005, .00001, .00002, .00005, .0001, .0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30,
}

// sizes are the bounds of histograms of numbers of things.
var sizes = []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096}

// Metrics are the instruments of one engine. Safe for concurrent use.
type Metrics struct {
	registration metric.Registration
	stages       metric.Float64Histogram
	ways         [directions][stages]metric.MeasurementOption
	commits      metric.Int64Histogram
	records      metric.Int64Histogram
	writing      metric.Float64Histogram
}

// New makes the instruments. read is called when somebody asks, on any goroutine,
// until Close. The error is one of the provider.
func New(provider metric.MeterProvider, read func() Reading) (*Metrics, error) {
	meter := provider.Meter(Scope)
	m := new(Metrics)
	var err error
	m.registration, err = register(meter, observations, read)
	err = errors.Join(err, m.histograms(meter))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	for d := range directions {
		for s := range stages {
			m.ways[d][s] = metric.WithAttributeSet(attribute.NewSet(
				attribute.String(labelDirection, d.String()), attribute.String(labelStage, s.String())))
		}
	}
	return m, nil
}

func (m *Metrics) histograms(meter metric.Meter) error {
	var errs [4]error
	m.stages, errs[0] = meter.Float64Histogram("rookery.message.stage.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of a sampled message in one stage."), metric.WithExplicitBucketBoundaries(seconds...))
	m.commits, errs[1] = meter.Int64Histogram("rookery.store.batch.commits", metric.WithUnit("{commit}"),
		metric.WithDescription("Commits in a batch, which share its sync."), metric.WithExplicitBucketBoundaries(sizes...))
	m.records, errs[2] = meter.Int64Histogram("rookery.store.batch.records", metric.WithUnit("{record}"),
		metric.WithDescription("Records in a batch."), metric.WithExplicitBucketBoundaries(sizes...))
	m.writing, errs[3] = meter.Float64Histogram("rookery.store.batch.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to write and sync a batch."), metric.WithExplicitBucketBoundaries(seconds...))
	return errors.Join(errs[:]...)
}

// register has a table read when somebody asks.
func register[R any](meter metric.Meter, table []observation[R], read func() R) (metric.Registration, error) {
	instruments := make([]metric.Int64Observable, len(table))
	for i, o := range table {
		var err error
		switch o.kind {
		case counter:
			instruments[i], err = meter.Int64ObservableCounter(o.name, metric.WithUnit(o.unit), metric.WithDescription(o.help))
		case gauge:
			instruments[i], err = meter.Int64ObservableGauge(o.name, metric.WithUnit(o.unit), metric.WithDescription(o.help))
		}
		if err != nil {
			return nil, err
		}
	}
	all := make([]metric.Observable, len(instruments))
	for i := range all {
		all[i] = instruments[i]
	}
	return meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		r := read()
		for i := range table {
			o := &table[i]
			for _, l := range o.read(&r) {
				if o.label == "" {
					to.ObserveInt64(instruments[i], l.N)
				} else {
					to.ObserveInt64(instruments[i], l.N, metric.WithAttributes(attribute.String(o.label, l.Value)))
				}
			}
		}
		return nil
	}, all...)
}

// Stage records the time of one message in one stage.
func (m *Metrics) Stage(d Direction, s Stage, took time.Duration) {
	m.stages.Record(context.Background(), took.Seconds(), m.ways[d][s])
}

// Batch records a batch that was made durable.
func (m *Metrics) Batch(commits, records int, took time.Duration) {
	ctx := context.Background()
	m.commits.Record(ctx, int64(commits))
	m.records.Record(ctx, int64(records))
	m.writing.Record(ctx, took.Seconds())
}

// Close ends the reading.
func (m *Metrics) Close() error { return m.registration.Unregister() }
