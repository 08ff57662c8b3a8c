//go:build !linux

package goheap

// hugePageSize is 0: there are none that could be asked for.
func hugePageSize() uint64 { return 0 }

func available(uint64) error { return nil }

func advise([]byte, uint64) error { return nil }
