// Package embedded is a NATS server with JetStream inside this process: for tests, and
// for a single machine that needs no server of its own.
//
// It owns the server's life and its directory. It does not know the carrier that talks
// to it, nor streams; whoever connects makes them.
package embedded
