// Package keyring keeps the keys that a store is sealed with: one key for each
// epoch, the key that authenticates the rollback anchor, and the id of the
// store. They lie in one cell (package cell), sealed under the key that a
// Protector gives: a passphrase or a key file.
//
// It owns how a keyring is opened and changed: what was retired is destroyed, a
// passphrase that was changed opens nothing any more, and a crash at any moment
// leaves the old keyring or the new one. It does not know what the epoch keys
// seal, nor when an epoch should end. Wiping keys in memory is best effort; an
// AEAD that was handed out keeps its key until the collector has taken it.
//
// The value in the cell, numbers big-endian:
//
//	offset  bytes
//	     0      8  "rkeyring"
//	     8      2  format, 1
//	    10      1  kind of protector: 1 passphrase, 2 key file
//	    11      1  Argon2id: lanes
//	    12      4  Argon2id: memory in KiB
//	    16      4  Argon2id: passes
//	    20     16  salt
//	    36     24  nonce, random for every sealing
//	    60      n  XChaCha20-Poly1305 of the content; the first 36 bytes are its
//	               associated data
//
// The key is Argon2id(passphrase, salt), or HKDF-SHA256 of the key in the key
// file with the salt and the label "rookery keyring"; the Argon2id fields are
// zero then. The content:
//
//	offset  bytes
//	     0     16  store id
//	    16     32  key of the anchor
//	    48      1  number of epochs, 1 to 16
//	    49   44 x  epochs, oldest first: id (4), created (8, ns since 1970), key (32)
package keyring
