package snapshot

import (
	"reflect"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/rookery-im/rookery/internal/metrics"
)

// What the instruments have is in the snapshot: a name that changes there and not here
// shows.
func TestSnapshotHasWhatIsMeasured(t *testing.T) {
	c := NewCollector()
	if s, err := c.Take(t.Context()); err != nil || !reflect.DeepEqual(s, Snapshot{}) {
		t.Errorf("without an engine: %+v, %v", s, err)
	}
	provider := sdk.NewMeterProvider(sdk.WithReader(c.Reader()))
	reading := metrics.Reading{
		Awake: 3, InFlight: 4, Queued: 5, BatchesRefused: 6,
		Refused:      []metrics.Labelled{{Value: "forged", N: 7}, {Value: "duplicate", N: 8}, {Value: "other"}},
		SendsRefused: []metrics.Labelled{{Value: "blocked", N: 9}},
	}
	m, err := metrics.New(provider, func() metrics.Reading { return reading })
	if err != nil {
		t.Fatal(err)
	}
	m.Stage(metrics.Out, metrics.Commit, 3*time.Millisecond)
	m.Stage(metrics.In, metrics.Queue, time.Hour)
	m.Batch(1, 2, time.Microsecond)
	s, err := c.Take(t.Context())
	if err != nil || s.Store != nil || len(s.Stages) != 2 {
		t.Fatalf("without a disk: %+v, %v", s, err)
	}
	reading.Sizes = &metrics.SizeReading{Files: 10, Log: 11}
	reading.Store = &metrics.StoreReading{Epochs: 12, OldestEpoch: 13, RolledBack: true, Unsettled: true}
	if s, err = c.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	first, last := s.Stages[0], s.Stages[1]
	if n := len(first.Times.Bounds); first.Direction != "receive" || first.Stage != "queue" || len(first.Times.Counts) != n+1 || first.Times.Counts[n] != 1 {
		t.Errorf("an hour: %+v", first)
	}
	at := 0
	for last.Times.Bounds[at] < .003 {
		at++
	}
	if last.Direction != "send" || last.Stage != "commit" || last.Times.Counts[at] != 1 {
		t.Errorf("3 ms: %+v", last)
	}
	if s.Store.Writes.Counts[0] != 1 {
		t.Errorf("a microsecond: %+v", s.Store.Writes)
	}
	s.Store.Writes, s.Stages = Histogram{}, nil
	want := Snapshot{
		Awake: 3, InFlight: 4, Refused: []Count{{"duplicate", 8}, {"forged", 7}}, SendsRefused: []Count{{"blocked", 9}},
		Store: &Store{Disk: 10, Log: 11, Queued: 5, BatchesRefused: 6, Epochs: 12, OldestEpoch: 13, RolledBack: true, Unsettled: true},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got %+v\nwant %+v", s, want)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := provider.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Take(t.Context()); err != nil || !reflect.DeepEqual(s, Snapshot{}) {
		t.Errorf("after the end: %+v, %v", s, err)
	}
}
