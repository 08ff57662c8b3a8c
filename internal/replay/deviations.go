package replay

// Deviation is a way in which this project does on purpose not what the
// deployed reference does. Its ID is stable and the name of its section in
// DEVIATIONS.md.
type Deviation struct {
	ID      string
	Summary string
}

// The deviations that can explain a recorded value.
const (
	devReplay           = "D-replay"
	devSkippedLimits    = "D-skipped-limits"
	devSessionIdentity  = "D-session-identity"
	devSessionStored    = "D-session-stored"
	devBundleVerified   = "D-bundle-verified"
	devBundlePolicy     = "D-bundle-policy"
	devBundleKept       = "D-bundle-kept"
	devOwnBundle        = "D-own-bundle"
	devPreKeyOwner      = "D-prekey-owner"
	devNewestBundle     = "D-newest-bundle"
	devHeaderUntilReply = "D-header-until-reply"
	devStrictDecoding   = "D-strict-decoding"
	devTypedRefusal     = "D-typed-refusal"
	devAES256           = "D-aes-256"

	// This is explained where it is met; the recordings of the project have none.
	devCanonicalSignature = "D-canonical-signature"

	// These leave no mark on a recording.
	devLazyRatchet = "D-lazy-ratchet"
	devRandomIV    = "D-random-iv"
	devSKNotKept   = "D-sk-not-kept"
)

var deviations = []Deviation{
	{devReplay, "a message is decrypted once; the reference decrypts it again until it is confirmed"},
	{devSkippedLimits, "message keys that were used do not count against the limits of stored keys"},
	{devSessionIdentity, "a session belongs to both identities; the reference tells sessions apart by prekey and installation id"},
	{devSessionStored, "a responder's session is stored when its first message has decrypted, not before"},
	{devBundleVerified, "a bundle is verified before anything of it is kept"},
	{devBundlePolicy, "a bundle whose signed bytes can be read in two ways, or with an impossible timestamp or key, is refused although its signature is valid"},
	{devBundleKept, "the bundles of a message that is refused or not meant for us are not kept"},
	{devOwnBundle, "nobody else's word about our own installation is taken"},
	{devPreKeyOwner, "a prekey belongs to the identity and installation whose bundle names it, whoever else named it before"},
	{devNewestBundle, "an older bundle that arrives late does not replace a newer one"},
	{devHeaderUntilReply, "the X3DH header is sent until a message of the session has decrypted, not until one has arrived"},
	{devStrictDecoding, "input that is not exactly of the format is refused by the decoder"},
	{devTypedRefusal, "input that makes the reference panic is refused with an error"},
	{devAES256, "DH-only payloads are encrypted with AES-256 only"},
	{devCanonicalSignature, "a signature is taken in its canonical form only; the reference also takes s in the upper half"},
	{devLazyRatchet, "the next sending ratchet pair is made when it is needed to send, not while decrypting"},
	{devRandomIV, "outside a replay the IV of a message is random, not derived from its key"},
	{devSKNotKept, "the shared key of an agreement is not stored"},
}

// Deviations lists them all, in the order of DEVIATIONS.md.
func Deviations() []Deviation { return deviations }

// cause is a deviation that the driver has seen at work.
type cause struct {
	id   string
	step int // where it was seen, -1 when in the step itself
	why  string
}
