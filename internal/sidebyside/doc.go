// Command sidebyside turns the output of the benchmarks of the core, several
// rounds of them, into one table: what each operation takes as Rookery does it, in
// the way of the deployed reference, and as its bare primitives. "make bench-core"
// runs it.
//
// It owns how medians and ratios are taken. It does not know what was measured:
// any benchmark BenchmarkX/operation with sub-benchmarks named rookery, reference
// and floor gives a line.
package main
