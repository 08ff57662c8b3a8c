//go:build unix

package rookery_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/ratchet"
	memnet "github.com/rookery-im/rookery/transport/memory"
	"github.com/rookery-im/rookery/x3dh"
)

const (
	directSessions = 1024
	directWorkers  = 2
)

// BenchmarkDirect measures messages of 100 bytes made directly over 1,024
// sessions on two goroutines, durably reserved in a sealed store on disk, beside
// the bare ratchet's encryption over as many sessions in the same process and
// run, half of it before and half after. Both sides' sessions are started before.
// Run with -benchtime 1000000x or more: only then are each session's first, small
// blocks a small part.
func BenchmarkDirect(b *testing.B) {
	bare := bareSessions(b)
	direct := directTo(b, peersOf(b, directSessions))
	payload := make([]byte, 100)
	encryptBare := func(n int) error {
		next, _, err := bare[n].Encrypt(payload, nil, ratchet.RandomIV, rand.Reader)
		bare[n] = next
		return err
	}
	encryptDirect := func(n int) error {
		_, err := direct[n].Encrypt(context.Background(), payload)
		return err
	}
	half := b.N/2 + 1
	took := onWorkers(b, half, encryptBare)
	b.ReportAllocs()
	b.ResetTimer()
	measured := onWorkers(b, b.N, encryptDirect)
	b.StopTimer()
	took = took.and(onWorkers(b, half, encryptBare))
	rate, bareRate := float64(b.N)/measured.clock.Seconds(), float64(2*half)/took.clock.Seconds()
	b.ReportMetric(rate, "messages/s")
	b.ReportMetric(bareRate, "bare/s")
	b.ReportMetric(100*rate/bareRate, "%ofbare")
	perMessage, perBare := measured.cpu.Seconds()/float64(b.N), took.cpu.Seconds()/float64(2*half)
	b.ReportMetric(1e6*perMessage, "cpu-us/message")
	b.ReportMetric(1e6*perBare, "cpu-us/bare")
	b.ReportMetric(100*perBare/perMessage, "%ofbare-by-cpu")
}

// cost is the time that something took, and the processors' time of the whole
// process meanwhile, which others on the same machine do not change.
type cost struct{ clock, cpu time.Duration }

func (c cost) and(other cost) cost { return cost{c.clock + other.clock, c.cpu + other.cpu} }

func processors(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// onWorkers does something n times, round the sessions, each of which belongs to
// one goroutine.
func onWorkers(b *testing.B, n int, do func(session int) error) cost {
	b.Helper()
	start, used := time.Now(), processors(b)
	var all sync.WaitGroup
	for worker := range directWorkers {
		all.Go(func() {
			for i := worker; i < n; i += directWorkers {
				if err := do(i % directSessions); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return cost{time.Since(start), processors(b) - used}
}

func bareSessions(b *testing.B) []ratchet.State {
	b.Helper()
	sessions := make([]ratchet.State, directSessions)
	for n := range sessions {
		peer, err := ratchet.Secp256k1.GenerateKeyPair(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		if sessions[n], err = ratchet.NewInitiator(ratchet.Secp256k1, peer.Private, peer.Public, rand.Reader); err != nil {
			b.Fatal(err)
		}
	}
	return sessions
}

// stranger is somebody of whom a bundle is known.
type stranger struct {
	key    rookery.PublicKey
	bundle []byte
}

func peersOf(b *testing.B, n int) []stranger {
	b.Helper()
	out := make([]stranger, n)
	for i := range out {
		identity, err := x3dh.GenerateIdentity(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		prekey, err := x3dh.GeneratePreKey(rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		bundle := wire.Bundle{
			PreKeys:   []wire.SignedPreKey{{InstallationID: "phone", Key: wire.PublicKey(prekey.Public()), Version: 1, ProtocolVersion: 1}},
			Timestamp: time.Now().UnixNano(),
		}
		if err := x3dh.SignBundle(&identity, &bundle); err != nil {
			b.Fatal(err)
		}
		out[i] = stranger{identity.Public(), wire.EncodeBundle(bundle)}
	}
	return out
}

// directTo opens an engine on disk and prepares direct sending to each. Each makes
// its first message here, which starts its session: those of the bare ratchet are
// started before the clock runs too.
func directTo(b *testing.B, all []stranger) []*rookery.Direct {
	b.Helper()
	ctx := context.Background()
	engine, err := rookery.Open(ctx, rookery.Options{
		Dir:       filepath.Join(b.TempDir(), "store"),
		Unlock:    rookery.KeyFile(filepath.Join(b.TempDir(), "key")),
		Transport: memnet.New(1, memnet.Faults{}),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := engine.Close(ctx); err != nil {
			b.Error(err)
		}
	})
	us, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		b.Fatal(err)
	}
	out := make([]*rookery.Direct, len(all))
	var group sync.WaitGroup
	for worker := range 64 {
		group.Go(func() {
			for i := worker; i < len(all); i += 64 {
				err := us.TakeBundle(ctx, all[i].key, all[i].bundle)
				if err == nil {
					out[i], err = us.Direct(all[i].key)
				}
				if err == nil {
					_, err = out[i].Encrypt(ctx, make([]byte, 100))
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return out
}
