// Package storetest is the suite that every persistence.Store has to pass, and
// a store that fails on demand. It knows the port and no store.
package storetest
