package rookery

import (
	"time"

	"github.com/rookery-im/rookery/internal/keypool"
)

// Sweep tells the tick of a moment to all actors: tests of what takes days do
// not wait for it.
func (e *Engine) Sweep(now time.Time) { e.system.Sweep(now) }

// KeysAhead counts the key pairs that were made ahead of their use.
func (e *Engine) KeysAhead() keypool.Counts { return e.keys.Counts() }

// ReadContactCode takes a contact code apart, for a fuzzer.
func ReadContactCode(text string) (PublicKey, []byte, error) { return readContactCode(text) }
