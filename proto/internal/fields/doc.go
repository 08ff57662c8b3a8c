// Package fields is the strict walk over the fields of an encoded protobuf
// message that every format decoder of this folder makes.
//
// It owns the steps from field to field and into embedded messages, and what is
// refused on the way whatever the format. It knows no message: the decoders say
// which fields there are, which have to be, and what else is refused.
package fields
