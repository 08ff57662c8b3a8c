// Package goldenstore opens stores as earlier releases have left them
// (testdata/stores): one directory for each format that was ever released, never
// changed once it is there. It is tests alone.
//
// A new format gets a store of its own with
//
//	go test ./internal/goldenstore -run TestGoldenStores -rewrite
//
// which makes testdata/stores/vN for the format of this build, and refuses to
// touch one that exists.
package goldenstore
