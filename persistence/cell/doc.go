// Package cell keeps one small value in one file and replaces it in place: the
// keyring and the rollback anchor of a store live in cells.
//
// It owns the layout of that file and the order of writes and syncs: a crash at
// any moment, a torn write and a write that fails leave the old value or the new
// one, and a value that was replaced can be destroyed, so that no byte of it is
// left in the file. What a drive keeps below its file system (the remnants in
// flash memory) is out of its reach.
//
// It does not know what a value means and does not seal it: the check sum tells
// damage, not an attacker.
//
// A cell is two slots of 4 KiB, which is what file systems and drives write at
// once; the slots take turns:
//
//	offset  bytes
//	     0      8  "rookcell"
//	     8      4  format, 1
//	    12      8  generation, higher is newer, from 1
//	    20      4  length of the value
//	    24      n  value, then zeros
//	  4064     32  SHA-256 of the 4064 bytes before
//
// Numbers are big-endian. A slot that was destroyed is all zeros. Later formats
// keep the magic, the format and the sum where they are, so that an old release
// can tell a newer format from damage.
package cell
