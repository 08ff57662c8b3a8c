package daemon

import (
	"flag"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
)

var benchIdentities = flag.Int("bench.identities", 10_000, "how many identities BenchmarkListIdentities hosts")

// BenchmarkListIdentities measures what a list of all identities costs over HTTP, without
// and with the devices that wait, right after a start in which nobody is awake, and how
// many it wakes. It asks for each as the console does every half minute:
//
//	go test ./internal/daemon -run '^$' -bench ListIdentities -benchtime 20x
func BenchmarkListIdentities(b *testing.B) {
	h := newHouse(b, func(h *house) { h.quiet = true })
	var making sync.WaitGroup
	turns := make(chan struct{}, 64)
	for range *benchIdentities {
		turns <- struct{}{}
		making.Go(func() {
			if _, err := h.hosting.CreateIdentity(b.Context(), rookery.NewIdentity{Name: "somebody"}); err != nil {
				b.Error(err)
			}
			<-turns
		})
	}
	making.Wait()
	h.restart()
	for _, waiting := range []bool{false, true} {
		name := "names alone"
		if waiting {
			name = "with waiting devices"
		}
		b.Run(name, func(b *testing.B) {
			before := h.hosting.Counts().Wakes
			for b.Loop() {
				var got struct{ Identities []struct{} }
				h.call(h.admin, "IdentityService/ListIdentities", object{"waitingDevices": waiting}, &got)
				if len(got.Identities) != *benchIdentities {
					b.Fatalf("%d are listed", len(got.Identities))
				}
			}
			b.ReportMetric(float64(h.hosting.Counts().Wakes-before)/float64(b.N), "wakes/op")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(*benchIdentities), "ns/identity")
		})
	}
}
