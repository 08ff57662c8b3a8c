// Package metrics owns the names, units, labels and buckets of everything that
// an engine measures, as OpenTelemetry instruments: a table of what is read when
// somebody asks (Reading), and the few histograms that are recorded while it works.
//
// It knows nothing of actors, stores or networks, and they know nothing of it: the
// root reads their counters and gives it a Reading. Labels come from fixed sets;
// none names an identity, an installation, a contact or a file. docs/metrics.md has
// the table for people.
package metrics
