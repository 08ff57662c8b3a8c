// Package throughput measures how fast messages become durable, each figure beside
// what it is compared with: both run in turns in one process, on the same machine at
// the same time. "rookery bench" shows the figures; what they mean is in
// docs/performance.md. The benchmarks of its tests are for profiles.
//
// It drives the engine by the same door as everybody else. It knows neither the
// network nor the store: who measures chooses them.
package throughput
