// Package throughput measures how fast messages become durable, each figure
// beside what it is compared with: both run in turns in one process, on the
// same machine at the same time. It has benchmarks and nothing else; what they
// measure and have given is in docs/performance.md, and "make bench-store" runs
// them.
//
// It drives the engine by the same door as everybody else. It knows nothing of
// the network.
package throughput
