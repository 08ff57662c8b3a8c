package rookery

import "github.com/rookery-im/rookery/transport/courier"

// Health is how an engine's network is.
type Health = courier.Health

// Health tells how the network of Options.Carrier is, without asking it; false with
// a transport of the user's own.
func (e *Engine) Health() (Health, bool) {
	if e.courier == nil {
		return Health{}, false
	}
	return e.courier.Health(), true
}
