// Package load puts an engine under load and measures what becomes of it: how many
// messages get through, how long each takes, and what that costs. It owns the
// scenarios, the worlds of identities they run in, the plan of what is sent when,
// and the books in which lost, repeated and overtaken messages show.
//
// Time is taken from when a message was meant to be sent: with a rate, a message
// that has to wait for others to get out of its way has waited. A tester that takes
// the time when it gets round to sending leaves out what is slowest.
//
// It drives the engine by the same door as everybody else and knows no store and no
// network: Environment gives them. How results are shown is for package report.
package load
