// Package aesctr is AES-256 in counter mode (NIST SP 800-38A, 6.5) for keys
// that encrypt one message and are thrown away.
//
// It owns the assembly that expands a key and encrypts counters
// (docs/adr/0022). It does not know what is encrypted, where an IV comes from
// or what authenticates the result.
//
// There are two paths with the same results. On amd64 with the AES
// instructions a key is expanded on the stack while the first counters are
// already being encrypted; nothing is allocated, and the round keys are
// cleared before the call returns. Everywhere else, and with the build tag
// purego, crypto/aes does the work, which allocates its round keys and leaves
// them to the garbage collector.
package aesctr
