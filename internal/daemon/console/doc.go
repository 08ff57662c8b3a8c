// Package console owns the page that people look after a daemon with: its files, which
// are part of the binary, and what a browser is allowed to do with them.
//
// It knows neither identities nor tokens: the page calls the API like any other
// client.
package console
