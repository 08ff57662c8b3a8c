package rookery

import "github.com/rookery-im/rookery/transport/courier"

// Health tells how the network of Options.Carrier is, without asking it; false with
// a transport of the user's own.
func (e *Engine) Health() (courier.Health, bool) {
	if e.courier == nil {
		return courier.Health{}, false
	}
	return e.courier.Health(), true
}
