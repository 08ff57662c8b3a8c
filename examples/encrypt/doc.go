// Command encrypt shows the engine as a machine that encrypts and decrypts, and nothing
// more: who runs it brings the network.
package main
