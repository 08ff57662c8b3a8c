package curve

// Point is a public key taken apart into its coordinates: x || y, 32 bytes each.
// Taking the square root that a compressed key leaves out costs an eighth of a
// multiplication or more, so who uses a key twice keeps its Point. Every value made by
// PublicKey.Point is on the curve; the zero value is none. Comparable.
type Point struct{ xy [UncompressedSize - 1]byte }

// Point takes the key apart; ErrPublicKey if it is not on the curve.
func (p PublicKey) Point() (Point, error) { return decompress(p) }

// IsZero tells whether there is no point.
func (p *Point) IsZero() bool { return *p == Point{} }

// Is tells whether the point is that of a public key.
func (p *Point) Is(key PublicKey) bool { return p.compressed() == key }

// uncompressed gives 04 || x || y.
func (p *Point) uncompressed() (out [UncompressedSize]byte) {
	out[0] = 4
	copy(out[1:], p.xy[:])
	return out
}

// compressed gives the public key.
func (p *Point) compressed() (out PublicKey) {
	out[0] = 2 + p.xy[63]&1
	copy(out[1:], p.xy[:32])
	return out
}
