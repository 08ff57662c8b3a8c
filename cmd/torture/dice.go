package main

import "time"

// dice draws what is planned, the same from the same seed (SplitMix64). Nothing
// here is secret. One goroutine at a time.
type dice struct{ state uint64 }

func newDice(seed uint64) *dice { return &dice{seed} }

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// fork gives dice of their own, for what runs beside this.
func (d *dice) fork() *dice { return newDice(d.next()) }

// below draws from 0 to n-1.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) } //nolint:gosec // n is small and above 0

// chance is true in so many of 1,000 draws.
func (d *dice) chance(perMille int) bool { return d.below(1000) < perMille }

// within draws a duration below a limit.
func (d *dice) within(limit time.Duration) time.Duration { return time.Duration(d.below(int(limit))) }
