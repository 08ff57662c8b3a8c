// Package undumpable keeps the memory of this process off the disk and from its
// neighbours.
//
// It owns two switches of the system: no core file when the process crashes, and, on
// Linux, that no other process of the same user reads its memory or attaches to it.
// Root can do both still; nor does this keep memory out of swap.
package undumpable
