package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

var (
	benchRate = flag.Int("bench.rate", 1000, "requests a second of BenchmarkAPISend")
	benchTime = flag.Duration("bench.time", 20*time.Second, "how long they are made")
)

// BenchmarkAPISend measures Send as a program beside the daemon sees it: in JSON over
// loopback, on connections that are kept, to a sealed store that is synced. Requests
// are made at a fixed rate whether or not others have been answered, and their times
// count from when they were due. Recipients are hosted by the same daemon, and client,
// daemon and both sides of each conversation share the processors. One iteration is one
// run of -bench.time:
//
//	go test ./internal/daemon -run '^$' -bench APISend
func BenchmarkAPISend(b *testing.B) {
	const senders = 50
	h := newHouse(b, func(h *house) {
		h.quiet = true
		h.options.MaxRequests = 1 << 20 // a machine that is too slow shows as latency
	})
	var pairs [senders][2]*resident
	for n := range pairs {
		pairs[n] = [2]*resident{h.resident("sender"), h.resident("recipient")}
		pairs[n][0].knows(pairs[n][1])
		pairs[n][0].send(pairs[n][1], "begins the session", "")
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	total := int(benchTime.Seconds() * float64(*benchRate))
	took := make([]time.Duration, total)
	for range b.N {
		var all sync.WaitGroup
		begun := time.Now()
		for n := range total {
			due := begun.Add(time.Duration(n) * time.Second / time.Duration(*benchRate))
			time.Sleep(time.Until(due))
			from, to := pairs[n%senders][0], pairs[n%senders][1]
			all.Go(func() {
				if err := from.sendOver(client, to); err != nil {
					b.Error(err)
				}
				took[n] = time.Since(due)
			})
		}
		all.Wait()
		slices.Sort(took)
	}
	for name, share := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99, "p99.9-ms": 0.999, "max-ms": 1} {
		at := max(int(math.Ceil(share*float64(total)))-1, 0)
		b.ReportMetric(float64(took[at].Microseconds())/1000, name)
	}
	b.ReportMetric(0, "ns/op") // the time of a run, which was chosen
}

var errSend = errors.New("send")

// sendOver is send with a client that keeps its connections.
func (r *resident) sendOver(client *http.Client, to *resident) error {
	body, err := json.Marshal(object{"identity": r.key, "to": to.key, "payload": make([]byte, 100)})
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, r.h.address+apiv1.MessageServiceSendProcedure, bytes.NewReader(body)) //nolint:noctx // the client has a time
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+r.token)
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%w: %d %s", errSend, response.StatusCode, answer)
	}
	return err
}
