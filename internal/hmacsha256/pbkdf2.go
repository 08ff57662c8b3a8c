package hmacsha256

// PBKDF2 writes the first 32 bytes of PBKDF2-HMAC-SHA256 (RFC 8018, section
// 5.2) to out. The password and the salt may be of any length, are not kept and
// must not overlap out. It takes the time of two compressions for each round and
// cannot be cancelled; it panics for less than one round.
func PBKDF2(out *[Size]byte, password, salt []byte, rounds int) {
	if rounds < 1 {
		panic("hmacsha256: PBKDF2 of no round")
	}
	stretch(out, password, salt, rounds)
}
