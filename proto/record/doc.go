// Package record holds the encoding of stored records: generated code for
// record.proto and nothing else.
//
// It owns the shape of values on disk. It does not know record names, sealing
// or the meaning of a field; the packages that own a value convert it. The
// store format carries no promise of compatibility yet.
package record
