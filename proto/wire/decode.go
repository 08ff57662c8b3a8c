package wire

import (
	"slices"
	"strings"
)

// Decode reads a ProtocolMessage of at most MaxMessageSize bytes; no bytes are
// the empty message. Every error is a *DecodeError.
//
// It is stricter than a protobuf library: limits are checked before memory is
// allocated, keys and ids must have their length, no field and no map key may
// come twice, and a known field must have its type. Unknown fields are skipped.
//
// Public, the payloads and the ratchet keys of the result alias b.
func Decode(b []byte) (*Message, error) {
	s := scan("ProtocolMessage", b, 0)
	if len(b) > MaxMessageSize {
		s.fail("", ErrTooLarge)
		return nil, s.err
	}
	bundles, err := s.count(3, "bundles", MaxBundles)
	if err != nil {
		return nil, err
	}
	entries, err := s.count(101, "encrypted_message", MaxEntries)
	if err != nil {
		return nil, err
	}
	var usual struct { // one allocation for a message to one installation
		message Message
		bundle  [1]Bundle
		preKey  [1]SignedPreKey
		entry   [1]Entry
		dr      DRHeader
	}
	m := &usual.message
	switch {
	case bundles > len(usual.bundle):
		m.Bundles = make([]Bundle, 0, bundles)
	case bundles > 0:
		m.Bundles = usual.bundle[:0]
	}
	switch {
	case entries > len(usual.entry):
		m.Entries = make([]Entry, 0, entries)
	case entries > 0:
		m.Entries = usual.entry[:0]
	}
	var deprecated Bundle
	for s.next() {
		switch s.num {
		case 1:
			deprecated = readBundle(&s, s.single("bundle", "Bundle"), "", nil)
		case 2:
			m.InstallationID = s.installationID("installation_id")
		case 3:
			preKeys := usual.preKey[:0:0]
			if bundles == len(usual.bundle) {
				preKeys = usual.preKey[:0]
			}
			m.Bundles = append(m.Bundles, readBundle(&s, s.element("bundles", "Bundle"), m.InstallationID, preKeys))
		case 101:
			dr := &usual.dr
			if entries > len(usual.entry) {
				dr = new(DRHeader)
			}
			m.addEntry(&s, dr)
		case 102:
			m.Public = s.bytes("public_message")
			m.HasPublic = m.Public != nil
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	if len(m.Bundles) == 0 && s.has(1) {
		m.Bundles = []Bundle{deprecated}
	}
	return m, nil
}

// DecodeBundle reads a Bundle of at most MaxBundleSize bytes, by the rules of
// Decode. The result keeps nothing of b.
func DecodeBundle(b []byte) (Bundle, error) {
	s := scan("Bundle", b, 0)
	if len(b) > MaxBundleSize {
		s.fail("", ErrTooLarge)
		return Bundle{}, s.err
	}
	var outer scanner
	bundle := readBundle(&outer, s, "", nil)
	return bundle, outer.err
}

// addEntry reads the current field of a ProtocolMessage as an entry of the map
// of encrypted messages and puts it in its place. dr is room for its header.
func (m *Message) addEntry(outer *scanner, dr *DRHeader) {
	const field = "encrypted_message"
	var e Entry
	s := outer.element(field, "ProtocolMessage."+field)
	for s.next() {
		switch s.num {
		case 1:
			e.Recipient = s.recipient("key")
		case 2:
			e.Part = readPart(&s, s.single("value", "EncryptedMessageProtocol"), dr)
		}
	}
	s.require(1, "key", ErrInstallationID)
	if outer.err = s.err; s.err != nil {
		return
	}
	i, found := slices.BinarySearchFunc(m.Entries, e.Recipient, func(e Entry, id string) int {
		return strings.Compare(e.Recipient, id)
	})
	if found {
		outer.fail(field, ErrDuplicateKey)
		return
	}
	m.Entries = slices.Insert(m.Entries, i, e)
}

// The read functions below read one embedded message from s and leave its error
// in outer.

func readPart(outer *scanner, s scanner, dr *DRHeader) (p Part) {
	for s.next() {
		switch s.num {
		case 1:
			p.X3DH = readX3DHHeader(&s, s.single("x3dh_header", "X3DHHeader"))
		case 2:
			p.DR = dr
			readDRHeader(&s, s.single("dr_header", "DRHeader"), dr)
		case 3:
			p.Payload = s.bytes("payload")
		case 101:
			p.DH = readDHHeader(&s, s.single("dh_header", "DHHeader"))
		case 102:
			s.bytes("hash_ratchet_header")
			p.HashRatchet = true
		}
	}
	outer.err = s.err
	return p
}

func readX3DHHeader(outer *scanner, s scanner) *X3DHHeader {
	h := new(X3DHHeader)
	for s.next() {
		switch s.num {
		case 1:
			h.Ephemeral = s.publicKey("ephemeral")
		case 4:
			h.SignedPreKey = s.publicKey("signed_pre_key")
		case 1001:
			h.MadeWith = readPreKeyStamp(&s, s.single("made_with", "PreKeyStamp"))
		}
	}
	s.require(1, "ephemeral", ErrKeyLength)
	s.require(4, "signed_pre_key", ErrKeyLength)
	outer.err = s.err
	return h
}

func readPreKeyStamp(outer *scanner, s scanner) (k PreKeyStamp) {
	for s.next() {
		switch s.num {
		case 1:
			k.Key = s.publicKey("signed_pre_key")
		case 2:
			k.Version = s.uint32("version")
		case 3:
			k.Timestamp = int64(s.uint64("timestamp")) //nolint:gosec // two's complement, as protobuf has it
		}
	}
	s.require(1, "signed_pre_key", ErrKeyLength)
	outer.err = s.err
	return k
}

func readDRHeader(outer *scanner, s scanner, h *DRHeader) {
	for s.next() {
		switch s.num {
		case 1:
			h.RatchetKey = s.ratchetKey("ratchet_key")
		case 2:
			h.N = s.uint32("n")
		case 3:
			h.PN = s.uint32("pn")
		case 4:
			h.SignedPreKey = s.publicKey("signed_pre_key")
		}
	}
	s.require(1, "ratchet_key", ErrKeyLength)
	s.require(4, "signed_pre_key", ErrKeyLength)
	outer.err = s.err
}

func readDHHeader(outer *scanner, s scanner) *DHHeader {
	h := new(DHHeader)
	for s.next() {
		if s.num == 1 {
			h.Ephemeral = s.publicKey("ephemeral")
		}
	}
	s.require(1, "ephemeral", ErrKeyLength)
	outer.err = s.err
	return h
}

// readBundle reads a bundle that came from the installation sender, into room if
// its prekeys fit.
func readBundle(outer *scanner, s scanner, sender string, room []SignedPreKey) (b Bundle) {
	preKeys, err := s.count(2, "signed_pre_keys", MaxPreKeys)
	if err != nil {
		outer.err = err
		return b
	}
	switch {
	case preKeys > cap(room):
		b.PreKeys = make([]SignedPreKey, 0, preKeys)
	case preKeys > 0:
		b.PreKeys = room
	}
	s.known = sender
	for s.next() {
		switch s.num {
		case 1:
			b.Identity = s.publicKey("identity")
		case 2:
			b.addPreKey(&s)
		case 4:
			b.Signature = s.signature("signature")
		case 5:
			b.Timestamp = int64(s.uint64("timestamp")) //nolint:gosec // two's complement, as protobuf has it
		}
	}
	s.require(1, "identity", ErrKeyLength)
	s.require(4, "signature", ErrSignatureLength)
	outer.err = s.err
	return b
}

// addPreKey reads the current field of a Bundle as an entry of the map of
// prekeys and puts it in its place.
func (b *Bundle) addPreKey(outer *scanner) {
	const field = "signed_pre_keys"
	var k SignedPreKey
	s := outer.element(field, "Bundle."+field)
	s.known = outer.known
	for s.next() {
		switch s.num {
		case 1:
			k.InstallationID = s.installationID("key")
		case 2:
			readSignedPreKey(&s, s.single("value", "SignedPreKey"), &k)
		}
	}
	s.require(1, "key", ErrInstallationID)
	s.require(2, "value", ErrKeyLength)
	if outer.err = s.err; s.err != nil {
		return
	}
	i, found := slices.BinarySearchFunc(b.PreKeys, k.InstallationID, func(k SignedPreKey, id string) int {
		return strings.Compare(k.InstallationID, id)
	})
	if found {
		outer.fail(field, ErrDuplicateKey)
		return
	}
	b.PreKeys = slices.Insert(b.PreKeys, i, k)
}

func readSignedPreKey(outer *scanner, s scanner, k *SignedPreKey) {
	for s.next() {
		switch s.num {
		case 1:
			k.Key = s.publicKey("signed_pre_key")
		case 2:
			k.Version = s.uint32("version")
		case 3:
			k.ProtocolVersion = s.uint32("protocol_version")
		}
	}
	s.require(1, "signed_pre_key", ErrKeyLength)
	outer.err = s.err
}
