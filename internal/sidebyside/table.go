package main

import (
	"fmt"
	"io"
	"slices"
)

const (
	head = `| operation | rookery, ns | reference, ns | floor, ns | times the floor | least, ns | times the least | times faster than the reference | allocations | bytes | allocations of the reference | bytes |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|`
	otherHead = `| operation | compared with | ns | times faster than that |
|---|---|--:|--:|`
	none = "-"
)

// write gives medians, and as ratios the medians of the ratios of each round: what
// the machine did in a round has hit both sides.
func (r *results) write(to io.Writer) {
	_, _ = fmt.Fprintln(to, head)
	others := false
	for _, op := range r.operations {
		mine, theirs := op.by[own], op.by[reference]
		_, _ = fmt.Fprintf(to, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", op.name,
			median(mine, ns), median(theirs, ns), median(op.by[floor], ns),
			ratio(mine, op.by[floor]), median(op.by[least], ns), ratio(mine, op.by[least]), ratio(theirs, mine),
			median(mine, allocations), median(mine, bytes), median(theirs, allocations), median(theirs, bytes))
		others = others || slices.ContainsFunc(op.rows, isOther)
	}
	if !others {
		return
	}
	_, _ = fmt.Fprintf(to, "\n%s\n", otherHead)
	for _, op := range r.operations {
		for _, row := range op.rows {
			if isOther(row) {
				_, _ = fmt.Fprintf(to, "| %s | %s | %s | %s |\n", op.name, row, median(op.by[row], ns), ratio(op.by[row], op.by[own]))
			}
		}
	}
}

func isOther(row string) bool { return row != own && row != reference && row != floor && row != least }

func ns(f figures) float64          { return f.ns }
func bytes(f figures) float64       { return f.bytes }
func allocations(f figures) float64 { return f.allocations }

func median(rounds []figures, of func(figures) float64) string {
	if len(rounds) == 0 {
		return none
	}
	all := make([]float64, len(rounds))
	for i := range rounds {
		all[i] = of(rounds[i])
	}
	return fmt.Sprintf("%.0f", middle(all))
}

// ratio is that of the times of a to those of b.
func ratio(a, b []figures) string {
	if len(a) == 0 || len(b) == 0 {
		return none
	}
	all := make([]float64, len(a))
	for i := range a {
		all[i] = a[i].ns / b[i].ns
	}
	return fmt.Sprintf("%.2f", middle(all))
}

func middle(all []float64) float64 {
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
