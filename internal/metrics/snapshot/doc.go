// Package snapshot gives what an engine measures at one moment as plain values, for
// who shows it without an exporter of OpenTelemetry.
//
// It owns a reader, which has to be one of the engine's meter provider, and what of
// its instruments is wanted. Names and units are those of internal/metrics.
package snapshot
