package jetstream

import (
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// health is what is told of the carrier.
type health struct {
	mu    sync.Mutex
	now   carrier.Health
	aside error
}

func (h *health) set(ready bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.Since.IsZero() || ready != h.now.Ready {
		h.now.Ready, h.now.Since = ready, time.Now()
	}
	h.now.Err = err
}

// note is for what fails while the rest goes on; nil when it does not any more.
func (h *health) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.aside = err
}

// Health implements carrier.Carrier.
func (c *Carrier) Health() carrier.Health {
	c.health.mu.Lock()
	health := c.health.now
	if health.Err == nil {
		health.Err = c.health.aside
	}
	c.health.mu.Unlock()
	if epoch, _ := c.link.now(); epoch != nil && c.ctx.Err() == nil {
		health.Peers = 1
	}
	return health
}
