package daemon

import (
	"context"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/rookery-im/rookery/internal/metrics/snapshot"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// Reader is to be one of those of the meter provider of the engine that is served:
// without it GetStats knows counts alone.
func (d *Daemon) Reader() sdk.Reader { return d.measured.Reader() }

// GetStats implements apiv1.DaemonServiceHandler.
func (s daemonService) GetStats(ctx context.Context, _ *apiv1.GetStatsRequest) (*apiv1.GetStatsResponse, error) {
	if err := administrator(ctx); err != nil {
		return nil, err
	}
	m, err := s.measured.Take(ctx)
	if err != nil {
		return nil, err
	}
	n := s.engine.Counts()
	v := &apiv1.GetStatsResponse{
		Identities: int64(len(s.hosted(tokenOf(ctx)))), Streams: int64(s.streams.inUse()),
		Sent: n.Sent, Copies: n.Copies, Received: n.Received, Refused: n.Refused, Unsent: n.Unsent,
		Acknowledged: n.Acknowledged, SessionsStarted: n.SessionsStarted, RatchetSteps: n.RatchetSteps,
		Batches: n.Batches, Commits: n.Commits, Records: n.Records,
		AtUnixMs: s.options.Now().UnixMilli(), Awake: m.Awake, InFlight: m.InFlight,
		RefusedByCause: viewCauses(m.Refused), SendsRefusedByCause: viewCauses(m.SendsRefused), Store: viewStore(m.Store),
	}
	for _, stage := range m.Stages {
		v.Latencies = append(v.Latencies, &apiv1.StageLatency{Direction: stage.Direction, Stage: stage.Stage, Times: viewTimes(stage.Times)})
	}
	return v, nil
}

func viewCauses(counts []snapshot.Count) []*apiv1.CauseCount {
	var all []*apiv1.CauseCount
	for _, c := range counts {
		all = append(all, &apiv1.CauseCount{Cause: c.Cause, Count: c.N})
	}
	return all
}

func viewTimes(h snapshot.Histogram) *apiv1.Histogram {
	return &apiv1.Histogram{BoundsSeconds: h.Bounds, Counts: h.Counts}
}

func viewStore(s *snapshot.Store) *apiv1.StoreHealth {
	if s == nil {
		return nil
	}
	return &apiv1.StoreHealth{
		DiskBytes: s.Disk, LogBytes: s.Log, Queued: s.Queued, BatchesRefused: uint64(s.BatchesRefused), //nolint:gosec // it counts from 0
		Epochs: s.Epochs, OldestEpochSeconds: s.OldestEpoch, RolledBack: s.RolledBack, Unsettled: s.Unsettled, Writes: viewTimes(s.Writes),
	}
}
