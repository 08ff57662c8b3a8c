// Package fingerprint makes numbers of identity keys that two people can compare
// when they meet or talk, to know that nobody stands between them.
//
// It owns the numeric form alone. It does not know contacts, or who has compared
// what.
//
// The number is made as Signal has published it for its safety numbers (numeric
// fingerprints, version 0), with the compressed identity keys and without a name
// beside them, since an identity is nothing but its key. Other clients of this
// network show words and pictures instead, so it compares between installations
// of Rookery only.
package fingerprint
