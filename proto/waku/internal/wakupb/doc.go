// Package wakupb is the code that protoc-gen-go makes of waku.proto. It owns
// nothing by hand and knows no limits: package waku encodes and decodes without
// it, and compares the two in its tests.
package wakupb
