//go:build cgo && !windows && !gofuzz

package curve

/*
#cgo noescape rookery_parse
#cgo nocallback rookery_parse
#cgo noescape rookery_public_key
#cgo nocallback rookery_public_key
#cgo noescape secp256k1_ext_scalar_mul
#cgo nocallback secp256k1_ext_scalar_mul
#cgo noescape rookery_sign
#cgo nocallback rookery_sign
#cgo noescape rookery_recover
#cgo nocallback rookery_recover
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup

#include <stddef.h>
#include <string.h>

// What is used of libsecp256k1's public interface, and of go-ethereum's addition
// to it. go-ethereum compiles the library into its own package, so the symbols
// are there only once everything is linked; weak, since cgo links each package
// once by itself.
#define ELSEWHERE extern __attribute__((weak))

typedef struct secp256k1_context_struct secp256k1_context;
typedef struct { unsigned char data[64]; } secp256k1_pubkey;
typedef struct { unsigned char data[65]; } secp256k1_ecdsa_recoverable_signature;

ELSEWHERE secp256k1_context *secp256k1_context_create(unsigned int flags);
ELSEWHERE int secp256k1_context_randomize(secp256k1_context *ctx, const unsigned char *seed32);
ELSEWHERE int secp256k1_ec_pubkey_parse(const secp256k1_context *ctx, secp256k1_pubkey *key, const unsigned char *in, size_t size);
ELSEWHERE int secp256k1_ec_pubkey_serialize(const secp256k1_context *ctx, unsigned char *out, size_t *size, const secp256k1_pubkey *key, unsigned int flags);
ELSEWHERE int secp256k1_ec_pubkey_create(const secp256k1_context *ctx, secp256k1_pubkey *key, const unsigned char *scalar);
ELSEWHERE int secp256k1_ext_scalar_mul(const secp256k1_context *ctx, unsigned char *point, const unsigned char *scalar);
ELSEWHERE int secp256k1_ecdsa_sign_recoverable(const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *sig, const unsigned char *digest, const unsigned char *scalar, void *nonce, const void *nonce_data);
ELSEWHERE int secp256k1_ecdsa_recoverable_signature_serialize_compact(const secp256k1_context *ctx, unsigned char *out, int *id, const secp256k1_ecdsa_recoverable_signature *sig);
ELSEWHERE int secp256k1_ecdsa_recoverable_signature_parse_compact(const secp256k1_context *ctx, secp256k1_ecdsa_recoverable_signature *sig, const unsigned char *in, int id);
ELSEWHERE int secp256k1_ecdsa_recover(const secp256k1_context *ctx, secp256k1_pubkey *key, const secp256k1_ecdsa_recoverable_signature *sig, const unsigned char *digest);

enum { CONTEXT_NONE = 1, COMPRESSED = 258, UNCOMPRESSED = 2 };

// rookery_new_context gives NULL if the library is not there, or does not work.
static secp256k1_context *rookery_new_context(const unsigned char *seed32) {
	if (!secp256k1_context_create || !secp256k1_context_randomize || !secp256k1_ec_pubkey_parse ||
		!secp256k1_ec_pubkey_serialize || !secp256k1_ec_pubkey_create || !secp256k1_ext_scalar_mul ||
		!secp256k1_ecdsa_sign_recoverable || !secp256k1_ecdsa_recoverable_signature_serialize_compact ||
		!secp256k1_ecdsa_recoverable_signature_parse_compact || !secp256k1_ecdsa_recover) return NULL;
	secp256k1_context *ctx = secp256k1_context_create(CONTEXT_NONE);
	if (ctx == NULL || !secp256k1_context_randomize(ctx, seed32)) return NULL;
	return ctx;
}

// rookery_parse writes the coordinates (64 bytes) of an encoded key.
static int rookery_parse(const secp256k1_context *ctx, unsigned char *xy, const unsigned char *in, size_t size) {
	secp256k1_pubkey key;
	unsigned char full[65];
	size_t n = sizeof full;
	if (!secp256k1_ec_pubkey_parse(ctx, &key, in, size)) return 0;
	secp256k1_ec_pubkey_serialize(ctx, full, &n, &key, UNCOMPRESSED);
	memcpy(xy, full + 1, 64);
	return 1;
}

// rookery_public_key writes the compressed public key (33 bytes) of a scalar.
static int rookery_public_key(const secp256k1_context *ctx, unsigned char *out, const unsigned char *scalar) {
	secp256k1_pubkey key;
	size_t n = 33;
	if (!secp256k1_ec_pubkey_create(ctx, &key, scalar)) return 0;
	return secp256k1_ec_pubkey_serialize(ctx, out, &n, &key, COMPRESSED);
}

// rookery_sign writes r || s || v (65 bytes), with the nonce of RFC 6979.
static int rookery_sign(const secp256k1_context *ctx, unsigned char *out, const unsigned char *digest, const unsigned char *scalar) {
	secp256k1_ecdsa_recoverable_signature sig;
	int id;
	if (!secp256k1_ecdsa_sign_recoverable(ctx, &sig, digest, scalar, NULL, NULL)) return 0;
	secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, out, &id, &sig);
	out[64] = id;
	return 1;
}

// rookery_recover writes the compressed public key (33 bytes) of the signer.
static int rookery_recover(const secp256k1_context *ctx, unsigned char *out, const unsigned char *in, const unsigned char *digest) {
	secp256k1_ecdsa_recoverable_signature sig;
	secp256k1_pubkey key;
	size_t n = 33;
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, &sig, in, in[64])) return 0;
	if (!secp256k1_ecdsa_recover(ctx, &key, &sig, digest)) return 0;
	return secp256k1_ec_pubkey_serialize(ctx, out, &n, &key, COMPRESSED);
}
*/
import "C"

import (
	"crypto/rand"

	_ "github.com/ethereum/go-ethereum/crypto/secp256k1" // holds libsecp256k1

	"github.com/rookery-im/rookery/internal/secret"
)

// Backend names the implementation in use.
const Backend = "libsecp256k1 (cgo, of go-ethereum)"

// library is only read once it is made, so it is shared by all goroutines. Its
// base point multiplication is blinded with a random scalar.
var library = newLibrary()

func newLibrary() *C.secp256k1_context {
	var seed [32]byte
	_, _ = rand.Read(seed[:]) // ends the process rather than fail
	ctx := C.rookery_new_context(in(seed[:]))
	if ctx == nil {
		panic("curve: libsecp256k1 does not start")
	}
	return ctx
}

func in(b []byte) *C.uchar { return (*C.uchar)(&b[0]) }

func decompress(p PublicKey) (out Point, err error) { return parse(p[:]) }

func parse(encoded []byte) (out Point, err error) {
	if C.rookery_parse(library, in(out.xy[:]), in(encoded), C.size_t(len(encoded))) != 1 {
		return Point{}, ErrPublicKey
	}
	return out, nil
}

func basePoint(scalar *secret.Key) (p PublicKey, err error) {
	if C.rookery_public_key(library, in(p[:]), in(scalar.Bytes())) != 1 {
		return PublicKey{}, ErrPrivateKey
	}
	return p, nil
}

func multiply(scalar *secret.Key, point *Point) (shared secret.Key, err error) {
	product := point.xy
	if C.secp256k1_ext_scalar_mul(library, in(product[:]), in(scalar.Bytes())) != 1 {
		return shared, ErrPrivateKey
	}
	copy(shared.Bytes(), product[:32])
	clear(product[:])
	return shared, nil
}

func sign(scalar *secret.Key, digest [32]byte) (sig Signature, err error) {
	if C.rookery_sign(library, in(sig[:]), in(digest[:]), in(scalar.Bytes())) != 1 {
		return Signature{}, ErrPrivateKey
	}
	return sig, nil
}

func recoverKey(digest [32]byte, sig Signature) (p PublicKey, err error) {
	if C.rookery_recover(library, in(p[:]), in(sig[:]), in(digest[:])) != 1 {
		return PublicKey{}, ErrSignature
	}
	return p, nil
}
