package throughput

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
)

// figures are what one turn has taken.
type figures struct {
	messages int
	elapsed  time.Duration
	cpu      time.Duration // of all threads, in user and system mode
	disk     uint64        // bytes that went to the disk
	counts   rookery.Counts
}

func (f figures) rate() float64 { return float64(f.messages) / f.elapsed.Seconds() }

// measure runs one turn of so many messages.
func measure(b *testing.B, messages int, turn func()) figures {
	b.Helper()
	cpu, disk, start := usedCPU(b), written(b), time.Now()
	turn()
	return figures{messages: messages, elapsed: time.Since(start), cpu: usedCPU(b) - cpu, disk: written(b) - disk}
}

// comparison is one row of the table.
type comparison struct {
	title, with string
	wanted      float64 // of the rate of what it is compared with
	engine      func() figures
	other       func() figures
}

const head = `| | messages/s | compared with | messages/s | ratio | wanted | CPU per message, µs | of it compared | synced batches | commits in one | records in one | bytes to disk per message |
|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|`

// table is what TestMain prints.
var table []string

// run takes turns, and reports the median of each side and of their ratios.
func (c comparison) run(b *testing.B) {
	b.Helper()
	var engine, other []figures
	var ratios []float64
	for range *rounds {
		engine = append(engine, c.engine())
		if *profiled {
			continue
		}
		other = append(other, c.other())
		ratios = append(ratios, engine[len(engine)-1].rate()/other[len(other)-1].rate())
	}
	if *profiled {
		mine := median(engine)
		b.ReportMetric(mine.rate(), "messages/s")
		b.ReportMetric(perMessage(mine), "cpu-us/message")
		b.ReportMetric(float64(mine.counts.Batches), "batches")
		b.ReportMetric(0, "ns/op")
		return
	}
	slices.Sort(ratios)
	ratio := ratios[len(ratios)/2]
	mine, theirs := median(engine), median(other)
	b.ReportMetric(mine.rate(), "messages/s")
	b.ReportMetric(theirs.rate(), "compared/s")
	b.ReportMetric(ratio, "ratio")
	b.ReportMetric(0, "ns/op")
	n := float64(mine.messages)
	batches := float64(max(1, mine.counts.Batches))
	table = append(table, fmt.Sprintf("| %s | %.0f | %s | %.0f | %s | %s | %.1f | %.1f | %d | %.0f | %.0f | %.0f |",
		c.title, mine.rate(), c.with, theirs.rate(), share(ratio), share(c.wanted),
		perMessage(mine), perMessage(theirs), mine.counts.Batches,
		float64(mine.counts.Commits)/batches, float64(mine.counts.Records)/batches, float64(mine.disk)/n))
}

func perMessage(f figures) float64 {
	return float64(f.cpu.Microseconds()) / float64(f.messages)
}

// share shows ratios below one as percentages.
func share(ratio float64) string {
	if ratio < 1 {
		return fmt.Sprintf("%.0f %%", 100*ratio)
	}
	return fmt.Sprintf("%.1fx", ratio)
}

func median(all []figures) figures {
	slices.SortFunc(all, func(a, b figures) int { return cmp.Compare(a.rate(), b.rate()) })
	return all[len(all)/2]
}

func usedCPU(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// written is how many bytes the process has caused to be written to disks, as
// Linux counts them; 0 elsewhere.
func written(b *testing.B) uint64 {
	b.Helper()
	content, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(content) {
		if number, ok := bytes.CutPrefix(line, []byte("write_bytes: ")); ok {
			n, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return n
		}
	}
	return 0
}
