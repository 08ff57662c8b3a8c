package jetstream_test

import (
	"testing"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/carriertest"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

// TestConforms: each carrier has a wire of its own, and the server can be restarted.
func TestConforms(t *testing.T) { conforms(t, nil) }

// TestConformsWithoutFilters: the same where all messages come and are picked here.
func TestConformsWithoutFilters(t *testing.T) {
	conforms(t, func(o *jetstream.Options) { o.Filters = 1 })
}

func conforms(t *testing.T, change func(*jetstream.Options)) {
	carriertest.Run(t, func(t *testing.T) carriertest.Network {
		n := newNetwork(t, nil)
		return carriertest.Network{
			Patience: patience,
			Open: func(t testing.TB) carrier.Carrier {
				w := newWire(t, n.address)
				o := n.options()
				o.Servers = []string{w.url()}
				if change != nil {
					change(&o)
				}
				return wired{n.open(o), w}
			},
			HasHistory:         true,
			Many:               3000, // the server, in this process, has a cache of several MB
			MemoryAside:        change != nil,
			KeepsAcrossRestart: true,
			Exact:              true,
			Cut: func(_ testing.TB, c carrier.Carrier) func() {
				w := c.(wired).wire
				w.setCut(true)
				return func() { w.setCut(false) }
			},
			Restart: func(testing.TB) { n.restart() },
		}
	})
}

// wired is a carrier whose wire ends with it.
type wired struct {
	*jetstream.Carrier
	wire *wire
}

func (w wired) Close() error {
	err := w.Carrier.Close()
	w.wire.end()
	return err
}
