package courier

import (
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/transport/carrier"
)

var (
	// ErrOptions: an option is missing or out of bounds.
	ErrOptions = errors.New("courier: options")
	// ErrBusy: as much is being published as may be. It can be tried again.
	ErrBusy = fmt.Errorf("courier: too much is being published: %w", carrier.ErrBusy)
	// ErrCorrupt: a record of the store is not what a courier has written.
	ErrCorrupt = errors.New("courier: corrupt record")
	// ErrEndless: the history goes on for longer than any history that makes sense.
	ErrEndless = fmt.Errorf("courier: no end: %w", carrier.ErrHistory)
)
