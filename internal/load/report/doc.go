// Package report shows what a load run has measured: as text, as JSON that can be
// compared with another run's, and as one HTML file that needs nothing else. It owns
// the names of what can be measured, and the thresholds by which a run has failed.
//
// It knows results and nothing of how they came about.
package report
