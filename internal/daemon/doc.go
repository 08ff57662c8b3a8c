// Package daemon serves an engine to programs in any language: the API of proto/api/v1
// over Connect, gRPC, gRPC-Web and JSON, and events as Server-Sent Events.
//
// It owns who may call (package token says by what), how requests are bounded and
// logged, the events of each identity that wait for consumers, and how errors look
// from outside. It does not know how the engine was opened, on which network and which
// store, nor the command line.
package daemon
