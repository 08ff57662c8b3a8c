package wire

import (
	"slices"
	"strings"

	"github.com/rookery-im/rookery/proto/internal/fields"
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
	s := fields.Scan("ProtocolMessage", b, MaxMessageSize, refuse)
	if s.Err != nil {
		return nil, s.Err
	}
	bundles, err := count(s, 3, "bundles", MaxBundles)
	if err != nil {
		return nil, err
	}
	entries, err := count(s, 101, "encrypted_message", MaxEntries)
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
	for s.Next() {
		switch s.Num {
		case 1:
			deprecated = readBundle(&s, s.Single("bundle", "Bundle"), "", nil)
		case 2:
			m.InstallationID = readInstallationID(&s, "installation_id", "")
		case 3:
			preKeys := usual.preKey[:0:0]
			if bundles == len(usual.bundle) {
				preKeys = usual.preKey[:0]
			}
			m.Bundles = append(m.Bundles, readBundle(&s, s.Element("bundles", "Bundle"), m.InstallationID, preKeys))
		case 101:
			dr := &usual.dr
			if entries > len(usual.entry) {
				dr = new(DRHeader)
			}
			m.addEntry(&s, dr)
		case 102:
			m.Public = readBytes(&s, "public_message")
			m.HasPublic = m.Public != nil
		}
	}
	if s.Err != nil {
		return nil, s.Err
	}
	if len(m.Bundles) == 0 && s.Has(1) {
		m.Bundles = []Bundle{deprecated}
	}
	return m, nil
}

// DecodeBundle reads a Bundle of at most MaxBundleSize bytes, by the rules of
// Decode. The result keeps nothing of b.
func DecodeBundle(b []byte) (Bundle, error) {
	var outer fields.Scanner
	bundle := readBundle(&outer, fields.Scan("Bundle", b, MaxBundleSize, refuse), "", nil)
	return bundle, outer.Err
}

// addEntry reads the current field of a ProtocolMessage as an entry of the map
// of encrypted messages and puts it in its place. dr is room for its header.
func (m *Message) addEntry(outer *fields.Scanner, dr *DRHeader) {
	const field = "encrypted_message"
	var e Entry
	s := outer.Element(field, "ProtocolMessage."+field)
	for s.Next() {
		switch s.Num {
		case 1:
			e.Recipient = readRecipient(&s, "key", "")
		case 2:
			e.Part = readPart(&s, s.Single("value", "EncryptedMessageProtocol"), dr)
		}
	}
	s.Require(1, "key", ErrInstallationID)
	if outer.Err = s.Err; s.Err != nil {
		return
	}
	i, found := slices.BinarySearchFunc(m.Entries, e.Recipient, func(e Entry, id string) int {
		return strings.Compare(e.Recipient, id)
	})
	if found {
		outer.Fail(field, ErrDuplicateKey)
		return
	}
	m.Entries = slices.Insert(m.Entries, i, e)
}

// The read functions below read one embedded message from s and leave its error
// in outer.

func readPart(outer *fields.Scanner, s fields.Scanner, dr *DRHeader) (p Part) {
	for s.Next() {
		switch s.Num {
		case 1:
			p.X3DH = readX3DHHeader(&s, s.Single("x3dh_header", "X3DHHeader"))
		case 2:
			p.DR = dr
			readDRHeader(&s, s.Single("dr_header", "DRHeader"), dr)
		case 3:
			p.Payload = readBytes(&s, "payload")
		case 101:
			p.DH = readDHHeader(&s, s.Single("dh_header", "DHHeader"))
		case 102:
			readBytes(&s, "hash_ratchet_header")
			p.HashRatchet = true
		}
	}
	outer.Err = s.Err
	return p
}

func readX3DHHeader(outer *fields.Scanner, s fields.Scanner) *X3DHHeader {
	h := new(X3DHHeader)
	for s.Next() {
		switch s.Num {
		case 1:
			h.Ephemeral = readPublicKey(&s, "ephemeral")
		case 4:
			h.SignedPreKey = readPublicKey(&s, "signed_pre_key")
		case 1001:
			h.MadeWith = readPreKeyStamp(&s, s.Single("made_with", "PreKeyStamp"))
		}
	}
	s.Require(1, "ephemeral", ErrKeyLength)
	s.Require(4, "signed_pre_key", ErrKeyLength)
	outer.Err = s.Err
	return h
}

func readPreKeyStamp(outer *fields.Scanner, s fields.Scanner) (k PreKeyStamp) {
	for s.Next() {
		switch s.Num {
		case 1:
			k.Key = readPublicKey(&s, "signed_pre_key")
		case 2:
			k.Version = s.Uint32("version")
		case 3:
			k.Timestamp = int64(s.Uint64("timestamp")) //nolint:gosec // two's complement, as protobuf has it
		}
	}
	s.Require(1, "signed_pre_key", ErrKeyLength)
	outer.Err = s.Err
	return k
}

func readDRHeader(outer *fields.Scanner, s fields.Scanner, h *DRHeader) {
	for s.Next() {
		switch s.Num {
		case 1:
			h.RatchetKey = readRatchetKey(&s, "ratchet_key")
		case 2:
			h.N = s.Uint32("n")
		case 3:
			h.PN = s.Uint32("pn")
		case 4:
			h.SignedPreKey = readPublicKey(&s, "signed_pre_key")
		}
	}
	s.Require(1, "ratchet_key", ErrKeyLength)
	s.Require(4, "signed_pre_key", ErrKeyLength)
	outer.Err = s.Err
}

func readDHHeader(outer *fields.Scanner, s fields.Scanner) *DHHeader {
	h := new(DHHeader)
	for s.Next() {
		if s.Num == 1 {
			h.Ephemeral = readPublicKey(&s, "ephemeral")
		}
	}
	s.Require(1, "ephemeral", ErrKeyLength)
	outer.Err = s.Err
	return h
}

// readBundle reads a bundle that came from the installation sender, into room if
// its prekeys fit.
func readBundle(outer *fields.Scanner, s fields.Scanner, sender string, room []SignedPreKey) (b Bundle) {
	preKeys, err := count(s, 2, "signed_pre_keys", MaxPreKeys)
	if err != nil {
		outer.Err = err
		return b
	}
	switch {
	case preKeys > cap(room):
		b.PreKeys = make([]SignedPreKey, 0, preKeys)
	case preKeys > 0:
		b.PreKeys = room
	}
	for s.Next() {
		switch s.Num {
		case 1:
			b.Identity = readPublicKey(&s, "identity")
		case 2:
			b.addPreKey(&s, sender)
		case 4:
			b.Signature = readSignature(&s, "signature")
		case 5:
			b.Timestamp = int64(s.Uint64("timestamp")) //nolint:gosec // two's complement, as protobuf has it
		}
	}
	s.Require(1, "identity", ErrKeyLength)
	s.Require(4, "signature", ErrSignatureLength)
	outer.Err = s.Err
	return b
}

// addPreKey reads the current field of a Bundle as an entry of the map of
// prekeys and puts it in its place.
func (b *Bundle) addPreKey(outer *fields.Scanner, sender string) {
	const field = "signed_pre_keys"
	var k SignedPreKey
	s := outer.Element(field, "Bundle."+field)
	for s.Next() {
		switch s.Num {
		case 1:
			k.InstallationID = readInstallationID(&s, "key", sender)
		case 2:
			readSignedPreKey(&s, s.Single("value", "SignedPreKey"), &k)
		}
	}
	s.Require(1, "key", ErrInstallationID)
	s.Require(2, "value", ErrKeyLength)
	if outer.Err = s.Err; s.Err != nil {
		return
	}
	i, found := slices.BinarySearchFunc(b.PreKeys, k.InstallationID, func(k SignedPreKey, id string) int {
		return strings.Compare(k.InstallationID, id)
	})
	if found {
		outer.Fail(field, ErrDuplicateKey)
		return
	}
	b.PreKeys = slices.Insert(b.PreKeys, i, k)
}

func readSignedPreKey(outer *fields.Scanner, s fields.Scanner, k *SignedPreKey) {
	for s.Next() {
		switch s.Num {
		case 1:
			k.Key = readPublicKey(&s, "signed_pre_key")
		case 2:
			k.Version = s.Uint32("version")
		case 3:
			k.ProtocolVersion = s.Uint32("protocol_version")
		}
	}
	s.Require(1, "signed_pre_key", ErrKeyLength)
	outer.Err = s.Err
}
