// Package core measures the primitives, the ratchet and X3DH on one thread: each
// operation as the product does it, and as the bare primitives that it is specified
// with. In its tests it is also done in the way of the deployed reference, whose
// libraries the product does not have; "make bench-core" measures all three.
//
// It owns the operations and their floors. It does not know how they are timed or
// shown, and it drives the core by the same door as everybody else.
package core
