package hmacsha256

// maxExpand is what HKDF-Expand can give, in bytes.
const maxExpand = 255 * Size

// zeroSalt is the salt of 32 zeros that stands for none.
var zeroSalt = keyOfZeros()

func keyOfZeros() (k Key) {
	k.Init(new([Size]byte))
	return k
}

// Extract makes k of the pseudorandom key of HKDF-Extract(salt, ikm). Without
// a salt (nil) it is 32 zeros, as RFC 5869 has it.
func (k *Key) Extract(salt *Key, ikm *[Size]byte) {
	if salt == nil {
		salt = &zeroSalt
	}
	var prk [Size]byte
	salt.Sum(&prk, ikm[:])
	k.Init(&prk)
	clear(prk[:])
}

// Expand fills out with HKDF-Expand(k, info, len(out)); k is a pseudorandom
// key, as of Extract. It panics if out is longer than 255 sums.
func (k *Key) Expand(out []byte, info string) {
	if len(out) > maxExpand {
		panic("hmacsha256: more than 255 sums of one key")
	}
	var previous []byte
	counter := [1]byte{1}
	for ; len(out) >= Size; out = out[Size:] {
		k.Sum((*[Size]byte)(out), previous, []byte(info), counter[:])
		previous = out[:Size]
		counter[0]++
	}
	if len(out) > 0 {
		var last [Size]byte
		k.Sum(&last, previous, []byte(info), counter[:])
		copy(out, last[:])
		clear(last[:])
	}
}
