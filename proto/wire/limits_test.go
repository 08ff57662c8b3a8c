package wire

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// many writes n map entries or bundles.
func many(n int, write func(i int) []byte) []byte {
	var b []byte
	for i := range n {
		b = append(b, write(i)...)
	}
	return b
}

func manyEntries(n int) []byte {
	return many(n, func(i int) []byte { return entry(fmt.Sprintf("device-%d", i)) })
}

func manyBundles(n int) []byte {
	return many(n, func(int) []byte { return bytesField(3, bundle()) })
}

func bundleOfMany(n int) []byte {
	return bundle(many(n, func(i int) []byte { return mapEntry(2, fmt.Sprintf("device-%d", i), signedPreKey()) }))
}

// padded fills a message with an unknown field up to size.
func padded(b []byte, size int) []byte {
	const header = 1 + 4 // tag, and a length of 2^21 or more; shorter ones vary
	field := bytesField(15, make([]byte, size-len(b)-header))
	for n := size - len(b) - header; len(b)+len(field) < size; n++ {
		field = bytesField(15, make([]byte, n))
	}
	return join(b, field)
}

// T22
func TestLimitsAreInclusive(t *testing.T) {
	bundleOnly := func(b []byte) error { _, err := DecodeBundle(b); return err }
	message := func(b []byte) error { _, err := Decode(b); return err }
	longID := strings.Repeat("x", MaxInstallationIDLength)
	tests := []struct {
		name         string
		decode       func([]byte) error
		within, over []byte
		field        string
		reason       error
	}{
		{"entries", message, manyEntries(MaxEntries), manyEntries(MaxEntries + 1), "ProtocolMessage.encrypted_message", ErrTooMany},
		{"bundles", message, manyBundles(MaxBundles), manyBundles(MaxBundles + 1), "ProtocolMessage.bundles", ErrTooMany},
		{"prekeys", bundleOnly, bundleOfMany(MaxPreKeys), bundleOfMany(MaxPreKeys + 1), "Bundle.signed_pre_keys", ErrTooMany},
		{
			"prekeys in a message", message, bytesField(3, bundleOfMany(MaxPreKeys)), bytesField(3, bundleOfMany(MaxPreKeys+1)),
			"Bundle.signed_pre_keys", ErrTooMany,
		},
		{"message size", message, padded(nil, MaxMessageSize), padded(nil, MaxMessageSize+1), "ProtocolMessage", ErrTooLarge},
		{"bundle size", bundleOnly, padded(bundle(), MaxBundleSize), padded(bundle(), MaxBundleSize+1), "Bundle", ErrTooLarge},
		{
			"id length", message, textField(2, longID), textField(2, longID+"x"),
			"ProtocolMessage.installation_id", ErrInstallationID,
		},
	}
	for _, test := range tests {
		if err := test.decode(test.within); err != nil {
			t.Errorf("%s: at the limit: %v", test.name, err)
		}
		var refused *DecodeError
		err := test.decode(test.over)
		if !errors.As(err, &refused) || refused.Field != test.field || !errors.Is(err, test.reason) {
			t.Errorf("%s: over the limit: got %v, want %s: %v", test.name, err, test.field, test.reason)
		}
	}
}

// The largest bundle by its other limits is not too large.
func TestLargestBundleFits(t *testing.T) {
	b := Bundle{Identity: publicKey(1), Timestamp: -1}
	for i := range MaxPreKeys {
		id := fmt.Sprintf("%0*d", MaxInstallationIDLength, i)
		b.PreKeys = append(b.PreKeys, SignedPreKey{id, publicKey(2), 1<<32 - 1, 1<<32 - 1})
	}
	if !checkBundle(t, EncodeBundle(b)) {
		t.Error("refused")
	}
}

// T22: oversize input is refused before memory is taken for it.
func TestOversizeInputIsRefusedBeforeAllocation(t *testing.T) {
	const installations, most = 100_000, 4 << 10
	nested := bytesField(3, bundleOfMany(installations)[:MaxMessageSize-10])
	tests := []struct {
		name   string
		input  []byte
		reason error
	}{
		{"entries for 10^5 installations", manyEntries(installations), ErrTooMany},
		{"a bundle of 10^5 installations", nested, ErrTooMany},
		{"10^5 bundles", many(installations, func(int) []byte { return bytesField(3, nil) }), ErrTooMany},
		{"100 MB of payload", entry("a", bytesField(3, make([]byte, 100_000_000))), ErrTooLarge},
		{"a length of 100 MB without content", []byte{0xb2, 0x06, 0x80, 0xc2, 0xd7, 0x2f}, ErrMalformed},
	}
	for _, test := range tests {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(test.input)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, test.reason) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.reason)
		}
		if taken := after.TotalAlloc - before.TotalAlloc; taken > most {
			t.Errorf("%s: %d bytes allocated, at most %d expected", test.name, taken, most)
		}
	}
}

// T22: unknown content is stepped over, however deep it is nested.
func TestNestedUnknownFieldsAreSkippedWithoutAllocation(t *testing.T) {
	var nested []byte
	for len(nested) < 1<<10 {
		nested = bytesField(9, nested)
	}
	input := many(1<<10, func(int) []byte { return nested })
	if n := testing.AllocsPerRun(10, func() {
		if _, err := Decode(input); err != nil {
			t.Fatal(err)
		}
	}); n > 1 { // the empty Message
		t.Errorf("%v allocations", n)
	}
}
