package wire

// Limits of what Decode and DecodeBundle accept. All are checked on the encoded
// bytes, before anything is allocated for what they count.
const (
	// MaxMessageSize is the largest encoded ProtocolMessage, in bytes. One envelope
	// of deployed networks holds at most 1 MiB, but larger messages are cut into
	// segments below this layer: a payload of 1 MiB for each of the usual 3
	// installations, with headers and bundles, has to fit.
	MaxMessageSize = 4 << 20

	// MaxBundleSize is the largest encoded Bundle, in bytes. MaxPreKeys prekeys
	// with the longest installation ids take less than 20 KiB; the rest is room for
	// fields that are not known yet.
	MaxBundleSize = 32 << 10

	// MaxEntries is the number of recipients in one message. Deployed clients send
	// to 3 installations of an identity, and nobody can send to more than a bundle
	// names.
	MaxEntries = MaxPreKeys

	// MaxBundles is the number of bundles in one message. Deployed clients send
	// one, their own; each costs the receiver a signature check.
	MaxBundles = 16

	// MaxPreKeys is the number of installations in one bundle. Deployed clients
	// name 3; the limit leaves room for rules above that have to see a flood of
	// installations in order to report it.
	MaxPreKeys = 128

	// MaxInstallationIDLength is in bytes. Deployed ids are UUIDs of 36
	// characters.
	MaxInstallationIDLength = 100
)
