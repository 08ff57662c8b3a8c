package goheap

import (
	"errors"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memory is what the process may have, in bytes; 0 if that cannot be told.
func memory() uint64 {
	system, err := memlimit.FromSystem()
	if err != nil {
		return 0
	}
	group, err := memlimit.FromCgroup()
	switch {
	case err == nil && group > 0:
		return min(system, group)
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return system
	default:
		return 0
	}
}
