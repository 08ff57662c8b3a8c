package replay

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/proto/wire"
)

// looseBundle reads a bundle without any check; keys and a signature of the
// wrong length stay empty. It serves the model of the reference, where our
// decoder refuses, and the vectors about signatures.
func looseBundle(b []byte) (out wire.Bundle) {
	fields(b, func(num protowire.Number, value []byte, n uint64) {
		switch num {
		case 1:
			out.Identity = looseKey(value)
		case 2:
			out.PreKeys = append(out.PreKeys, loosePreKey(value))
		case 4:
			if len(value) == len(out.Signature) {
				copy(out.Signature[:], value)
			}
		case 5:
			out.Timestamp = int64(n)
		}
	})
	return out
}

func loosePreKey(b []byte) (k wire.SignedPreKey) {
	fields(b, func(num protowire.Number, value []byte, _ uint64) {
		switch num {
		case 1:
			k.InstallationID = string(value)
		case 2:
			fields(value, func(num protowire.Number, value []byte, n uint64) {
				switch num {
				case 1:
					k.Key = looseKey(value)
				case 2:
					k.Version = uint32(n)
				case 3:
					k.ProtocolVersion = uint32(n)
				}
			})
		}
	})
	return k
}

func looseKey(b []byte) (k wire.PublicKey) {
	if len(b) == len(k) {
		copy(k[:], b)
	}
	return k
}

// fields calls visit for every field until the end or the first damage.
func fields(b []byte, visit func(num protowire.Number, value []byte, n uint64)) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		var value []byte
		var number uint64
		switch typ {
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return
		}
		b = b[n:]
		visit(num, value, number)
	}
}
