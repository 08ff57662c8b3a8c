// Package bench measures the engine and its parts in one run, and writes what it has
// measured: as text, as JSON, and as the page docs/performance.md, which is made of a
// template and the JSON of one run. "rookery bench" runs it.
//
// It owns the sections, their order, the report and the page. What is measured is in
// internal/bench/core, internal/bench/envelopes and internal/throughput, how figures
// are taken in internal/bench/measure. It knows neither network nor store: who
// measures chooses them.
package bench
