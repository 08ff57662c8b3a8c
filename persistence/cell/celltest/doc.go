// Package celltest holds a disk in memory for the tests of what lies in cells.
//
// It owns a model of what disks and operating systems do to a small file: what
// was not synced reaches the disk in part, in any order and in pieces of a
// sector; a name is durable when its directory was synced; a write that fails
// has landed in part; a sync that fails makes the cache pass for clean. It does
// not know the layout of a cell.
package celltest
