// Package sha256block is the compression function of SHA-256 (FIPS 180-4) in
// assembly, for processors that have instructions for it (docs/adr/0020).
//
// It owns that function alone: no padding, no message. It does not know HMAC;
// hmacsha256 does, which runs on the standard library where this is not
// Available. On other systems, and with the build tag purego, it is empty.
package sha256block
