package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/rookery-im/rookery/internal/metrics"
)

// Collector takes snapshots. Safe for concurrent use.
type Collector struct{ reader *sdk.ManualReader }

// NewCollector makes one, whose Reader is to be given to one meter provider.
func NewCollector() *Collector { return &Collector{sdk.NewManualReader()} }

// Reader is what the meter provider of the engine needs.
func (c *Collector) Reader() sdk.Reader { return c.reader }

// Snapshot is what an engine has measured since it was opened, and how it is now.
type Snapshot struct {
	Awake, InFlight       int64
	Refused, SendsRefused []Count // by cause, in the order of their names, without those that are 0
	Stages                []Stage // in the order of direction and stage
	Store                 *Store  // nil: not on a disk, or not known now
}

// Count is how often there was one cause.
type Count struct {
	Cause string
	N     uint64
}

// Stage is how long messages took in a part of their way.
type Stage struct {
	Direction, Stage string
	Times            Histogram
}

// Histogram counts times. Bounds, in seconds, are the upper ones of all counts but the
// last.
type Histogram struct {
	Bounds []float64
	Counts []uint64
}

// Store is how the store on the disk is.
type Store struct {
	Disk, Log             int64 // bytes
	Queued                int64 // records
	BatchesRefused        int64
	Epochs, OldestEpoch   int64 // seconds since that began
	RolledBack, Unsettled bool
	Writes                Histogram
}

// Take asks the engine. If none measures, it gives an empty snapshot.
func (c *Collector) Take(ctx context.Context) (Snapshot, error) {
	var all metricdata.ResourceMetrics
	err := c.reader.Collect(ctx, &all)
	if errors.Is(err, sdk.ErrReaderNotRegistered) || errors.Is(err, sdk.ErrReaderShutdown) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("metrics: %w", err)
	}
	var r reading
	for _, scope := range all.ScopeMetrics {
		if scope.Scope.Name == metrics.Scope {
			r = append(r, scope.Metrics...)
		}
	}
	return r.snapshot(), nil
}

// reading are the instruments of one engine.
type reading []metricdata.Metrics

func (r reading) snapshot() Snapshot {
	s := Snapshot{
		Awake: r.number("rookery.identities.awake"), InFlight: r.number("rookery.messages.in_flight"),
		Refused: r.causes("rookery.messages.refused"), SendsRefused: r.causes("rookery.sends.refused"),
	}
	for _, p := range r.histograms("rookery.message.stage.duration") {
		s.Stages = append(s.Stages, Stage{label(p.Attributes, "direction"), label(p.Attributes, "stage"), histogram(p)})
	}
	slices.SortFunc(s.Stages, func(a, b Stage) int {
		return slices.Compare([]string{a.Direction, a.Stage}, []string{b.Direction, b.Stage})
	})
	if r.of("rookery.store.disk") == nil {
		return s
	}
	s.Store = &Store{
		Disk: r.number("rookery.store.disk"), Log: r.number("rookery.store.log"),
		Queued: r.number("rookery.store.queued"), BatchesRefused: r.number("rookery.store.batches.refused"),
		Epochs: r.number("rookery.store.epochs"), OldestEpoch: r.number("rookery.store.epoch.age"),
		RolledBack: r.number("rookery.store.rolled_back") != 0, Unsettled: r.number("rookery.store.unsettled") != 0,
	}
	for _, p := range r.histograms("rookery.store.batch.duration") {
		s.Store.Writes = histogram(p)
	}
	return s
}

// of gives the measurements of an instrument, nil if there are none.
func (r reading) of(name string) metricdata.Aggregation {
	at := slices.IndexFunc(r, func(m metricdata.Metrics) bool { return m.Name == name })
	if at < 0 {
		return nil
	}
	return r[at].Data
}

func (r reading) points(name string) []metricdata.DataPoint[int64] {
	switch data := r.of(name).(type) {
	case metricdata.Sum[int64]:
		return data.DataPoints
	case metricdata.Gauge[int64]:
		return data.DataPoints
	}
	return nil
}

func (r reading) number(name string) (n int64) {
	for _, p := range r.points(name) {
		n += p.Value
	}
	return n
}

func (r reading) causes(name string) (all []Count) {
	for _, p := range r.points(name) {
		if p.Value > 0 {
			all = append(all, Count{label(p.Attributes, "cause"), uint64(p.Value)})
		}
	}
	slices.SortFunc(all, func(a, b Count) int { return slices.Compare([]string{a.Cause}, []string{b.Cause}) })
	return all
}

func (r reading) histograms(name string) []metricdata.HistogramDataPoint[float64] {
	data, _ := r.of(name).(metricdata.Histogram[float64])
	return data.DataPoints
}

func histogram(p metricdata.HistogramDataPoint[float64]) Histogram {
	return Histogram{p.Bounds, p.BucketCounts}
}

func label(of attribute.Set, name attribute.Key) string {
	value, _ := of.Value(name)
	return value.AsString()
}
