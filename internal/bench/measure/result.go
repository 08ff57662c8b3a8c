package measure

import "slices"

// Result is what a comparison has given: medians of its rounds.
type Result struct {
	ID     string      `json:"id"`
	Title  string      `json:"title"`
	Basis  Basis       `json:"basis"`
	Rounds int         `json:"rounds"`
	Wanted float64     `json:"wanted,omitempty"` // share of the second way's rate
	Ways   []WayResult `json:"ways"`             // the first is Rookery's own
}

// WayResult is one way of it. Figures are for one operation.
type WayResult struct {
	Name string `json:"name"`
	// Nanoseconds by the basis of the comparison, and of processors.
	Nanoseconds          float64 `json:"ns"`
	ProcessorNanoseconds float64 `json:"processor_ns"`
	// Times is how many times as long as this the own way takes: the median of the
	// ratios within each round. 1 for the own way itself.
	Times       float64 `json:"times"`
	Allocations float64 `json:"allocations"`
	Bytes       float64 `json:"bytes"`                // allocated
	Written     float64 `json:"written,omitempty"`    // bytes to disk
	Batches     float64 `json:"batches,omitempty"`    // synced in a turn
	Commits     float64 `json:"in_batch,omitempty"`   // commits in one batch
	Records     float64 `json:"of_records,omitempty"` // records in one batch
	Wakes       float64 `json:"wakes,omitempty"`      // of identities
}

// Rate is operations per second.
func (w WayResult) Rate() float64 { return 1e9 / w.Nanoseconds }

// Own is Rookery's own way.
func (r Result) Own() WayResult { return r.Ways[0] }

// Way finds the way of a name.
func (r Result) Way(name string) (WayResult, bool) {
	at := slices.IndexFunc(r.Ways, func(w WayResult) bool { return w.Name == name })
	if at < 0 {
		return WayResult{}, false
	}
	return r.Ways[at], true
}

func summary(name string, basis Basis, rounds, own []Figures) WayResult {
	times := make([]float64, len(rounds))
	for i := range rounds {
		times[i] = own[i].each(basis) / rounds[i].each(basis)
	}
	w := WayResult{
		Name:                 name,
		Nanoseconds:          median(rounds, func(f Figures) float64 { return f.each(basis) }),
		ProcessorNanoseconds: median(rounds, func(f Figures) float64 { return f.each(Processor) }),
		Times:                middle(times),
		Allocations:          median(rounds, func(f Figures) float64 { return float64(f.Allocations) / float64(f.Operations) }),
		Bytes:                median(rounds, func(f Figures) float64 { return float64(f.Allocated) / float64(f.Operations) }),
		Written:              median(rounds, func(f Figures) float64 { return float64(f.Written) / float64(f.Operations) }),
		Batches:              median(rounds, func(f Figures) float64 { return float64(f.Batches) }),
		Wakes:                median(rounds, func(f Figures) float64 { return float64(f.Wakes) / float64(f.Operations) }),
	}
	if w.Batches > 0 {
		w.Commits = median(rounds, func(f Figures) float64 { return float64(f.Commits) / float64(max(1, f.Batches)) })
		w.Records = median(rounds, func(f Figures) float64 { return float64(f.Records) / float64(max(1, f.Batches)) })
	}
	return w
}

func median(rounds []Figures, of func(Figures) float64) float64 {
	all := make([]float64, len(rounds))
	for i := range rounds {
		all[i] = of(rounds[i])
	}
	return middle(all)
}

func middle(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
