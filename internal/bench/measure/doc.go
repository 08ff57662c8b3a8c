// Package measure takes figures of an operation that is done in several ways:
// Rookery's own, and what that is compared with. The ways take turns, round after
// round, on the same machine at the same time, and what is reported are medians and
// the medians of the ratios within each round.
//
// It owns rounds, medians, ratios and what the operating system tells about time and
// disk. It does not know what is measured.
package measure
