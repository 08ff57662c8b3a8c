package ratchet

import "math"

// Constants of the protocol, as every deployed client has them. Changing one
// breaks the wire.
const (
	keySize = 32
	ivSize  = 16
	macSize = 32
	// headerSize is N (LE32) || PN (LE32), which a ratchet key follows.
	headerSize = 8
	// Overhead is what a ciphertext is longer than its plaintext, in bytes.
	Overhead = ivSize + macSize

	rootInfo    = "rsZUpEuXUqqwXBvSy3EcievAh4cMj6QL" // KDF_RK
	messageInfo = "pcwSByyx2CRdryCffXJwy7xgVZWtW5Sh" // message key to enc, auth, iv

	chainKeyByte   = 0x0f // KDF_CK
	messageKeyByte = 0x10
)

// maxIndex is the highest message number of a chain that is used: the number
// after it must still fit the header.
const maxIndex = math.MaxUint32 - 1

// Limits bound what a peer can make the ratchet do and store.
type Limits struct {
	// MaxSkip is how many message keys one message may skip in each of its two
	// chains (the rest of the previous one by PN, the start of its own by N).
	MaxSkip uint32
	// MaxKeep is how many message keys a session may make before a skipped
	// key that was never used is deleted.
	MaxKeep uint64
	// MaxStored is how many skipped message keys a session may hold; the
	// oldest are deleted first.
	MaxStored int
}

// DeployedLimits are the limits of the deployed clients. MaxSkip is also what a
// sender has to stay under when it skips indices of its own.
func DeployedLimits() Limits {
	return Limits{MaxSkip: 1000, MaxKeep: 3000, MaxStored: 2000}
}
