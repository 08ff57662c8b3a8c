// Package footprint reads what this process has taken from its machine: resident
// memory, processor time, and room on the disk.
//
// It knows the system and nothing of what runs in the process.
package footprint
