package wakurelay

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/carriertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conforming is a network of one node that everybody is connected with.
func conforming(hasHistory bool) func(t *testing.T) carriertest.Network {
	return func(t *testing.T) carriertest.Network {
		hub := newArchive(t)
		return carriertest.Network{
			Open: func(t testing.TB) carrier.Carrier {
				w, address := hub.wire(t)
				o := Options{Listen: nextIP().String() + ":0", Peers: []string{address}, IncomingBytes: mostFrame, pace: quick}
				if hasHistory {
					o.History = hub.through(w)
				}
				return wired{open(t, o), w}
			},
			// It is not kept across a restart: who relays says nothing of what it has
			// taken from a connection, and may end before it looks at it.
			HasHistory: hasHistory,
			Exact:      true,
			Cut: func(_ testing.TB, c carrier.Carrier) func() {
				w := c.(wired).wire
				w.cut()
				return w.mend
			},
			Restart: func(t testing.TB) {
				hub.stop(t)
				hub.start(t)
			},
			Quiet:    250 * time.Millisecond,
			Patience: time.Minute,
			// Nothing comes from the history there, so that what is lost is missing.
			HistoryOnly: hasHistory,
			// Far more than IncomingBytes. Where there is no history, it is the same.
			Many:        500,
			MemoryAside: !hasHistory,
		}
	}
}

// wired is a carrier whose only way to others is a wire.
type wired struct {
	*Carrier
	wire *wire
}

// Close implements carrier.Carrier.
func (w wired) Close() error {
	defer w.wire.end()
	return w.Carrier.Close()
}

func TestConforms(t *testing.T)            { carriertest.Run(t, conforming(false)) }
func TestConformsWithHistory(t *testing.T) { carriertest.Run(t, conforming(true)) }

// open opens a carrier and closes it at the end.
func open(t testing.TB, o Options) *Carrier {
	t.Helper()
	if o.pace == (pace{}) {
		o.pace = quick
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
