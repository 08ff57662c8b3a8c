// Package installation is one hosted installation run step by step: without
// actors, goroutines or a clock. It is the second shell beside the actors,
// around the same pure steps of bundleactor, deviceactor and sessionactor, the
// same records and the same store port, for hosts that decide themselves what
// happens when: the simulation is one.
//
// It owns the order of a step: compute, commit one batch, keep the new state,
// then publish and report. It has no rule of its own, and does not know where
// its time, its randomness or its envelopes come from.
package installation
