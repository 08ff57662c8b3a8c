// Package wirepb is the code that protoc-gen-go makes of protocol.proto. It owns
// nothing by hand and knows no limits: package wire encodes with it, decodes
// without it, and compares the two in its tests.
package wirepb
