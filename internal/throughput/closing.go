package throughput

import (
	"errors"
	"slices"
)

// closers are what has to be closed, in the order in which it was opened.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

// close closes the last first.
func (c *closers) close() error {
	var all error
	for _, f := range slices.Backward(*c) {
		all = errors.Join(all, f())
	}
	*c = nil
	return all
}
