package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/transport/envelope"
	"github.com/rookery-im/rookery/x3dh"
)

// envelopeFile is a file of single envelopes of 26/WAKU2-PAYLOAD.
type envelopeFile struct {
	origin
	Positive []json.RawMessage `json:"positive"`
	Negative []json.RawMessage `json:"negative"`
}

// envelopeVector is an envelope that others have made, or one that was altered.
type envelopeVector struct {
	Kind             string   `json:"kind"`
	SymKey           hexBytes `json:"sym_key"`
	RecipientPrivate hexBytes `json:"recipient_private_key"`
	RecipientPublic  hexBytes `json:"recipient_public_key"`
	Wire             hexBytes `json:"wire"`

	// Of a good one.
	Payload        hexBytes `json:"payload"`
	ExpectedSigner hexBytes `json:"expected_signer"`
	SignerPrivate  hexBytes `json:"signer_private_key"`
	Inner          hexBytes `json:"inner"`
	InnerLen       *int     `json:"inner_len"`
	Flags          *int     `json:"flags"`

	// Expect is what has to become of an altered one.
	Expect string `json:"expect"`

	Producer string `json:"producer"`
	Note     string `json:"note"`

	// answers are those of the implementations, by the names of their fields.
	answers map[string]answer
	where   string
}

// answer is what one implementation made of an envelope.
type answer struct {
	Data       hexBytes `json:"data"`
	Signer     hexBytes `json:"signer"`
	PaddingLen *int     `json:"padding_len"`
	Error      string   `json:"error"`
}

const answerSuffix = "_result"

func replayEnvelopes(data []byte) (*FileReport, error) {
	var f envelopeFile
	if err := strictly(data, "envelopes", &f); err != nil {
		return nil, err
	}
	if len(f.Positive)+len(f.Negative) == 0 {
		return nil, malformed("envelopes", "no vectors")
	}
	report := &FileReport{Schema: schemaEnvelopes, Name: f.Name}
	for _, part := range []struct {
		name string
		list []json.RawMessage
		run  func(*envelopeVector, *lock, *Step) error
	}{
		{"positive", f.Positive, (*envelopeVector).positive},
		{"negative", f.Negative, (*envelopeVector).negative},
	} {
		for i, raw := range part.list {
			v, err := parseEnvelope(raw, fmt.Sprintf("%s %d", part.name, i))
			if err != nil {
				return nil, err
			}
			rep := Step{I: i, Cmd: part.name, Node: v.Kind, Status: Equal}
			l, err := v.lock(&rep)
			if err != nil {
				return nil, err
			}
			if err := part.run(v, l, &rep); err != nil {
				return nil, err
			}
			report.Steps = append(report.Steps, rep)
		}
	}
	return report, nil
}

// parseEnvelope reads a vector; the answers of implementations have fields of
// any name with the suffix.
func parseEnvelope(raw json.RawMessage, where string) (*envelopeVector, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, &FormatError{Where: where, Reason: err}
	}
	v := &envelopeVector{answers: map[string]answer{}, where: where}
	for name, value := range fields {
		if !strings.HasSuffix(name, answerSuffix) {
			continue
		}
		var a answer
		if err := strictly(value, where+" "+name, &a); err != nil {
			return nil, err
		}
		if (a.Data == nil) == (a.Error == "") {
			return nil, malformed(where+" "+name, "not one of data and error")
		}
		v.answers[name] = a
		delete(fields, name)
	}
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, &FormatError{Where: where, Reason: err}
	}
	if err := strictly(rest, where, v); err != nil {
		return nil, err
	}
	return v, missing(where, "wire", v.Wire)
}

// lock gives what opens the envelope, and compares its recorded public key.
func (v *envelopeVector) lock(rep *Step) (*lock, error) {
	switch v.Kind {
	case "symmetric":
		if v.RecipientPrivate != nil || v.RecipientPublic != nil {
			return nil, malformed(v.where, "a recipient beside a symmetric key")
		}
		key, err := secret.NewKey(v.SymKey)
		if err != nil {
			return nil, malformed(v.where, "sym_key: %w", err)
		}
		return &lock{key: &key}, nil
	case "asymmetric":
		if v.SymKey != nil {
			return nil, malformed(v.where, "a symmetric key beside a recipient")
		}
		own, err := x3dh.NewIdentity(v.RecipientPrivate)
		if err != nil {
			return nil, malformed(v.where, "recipient_private_key: %w", err)
		}
		if v.RecipientPublic != nil {
			rep.value("recipient_public_key", sameIdentity(own.Public(), v.RecipientPublic), "ours is %s", own.Public())
		}
		return &lock{own: &own}, nil
	}
	return nil, malformed(v.where, "unknown kind %.40q", v.Kind)
}

// sameIdentity compares a key with a recorded uncompressed one.
func sameIdentity(ours x3dh.IdentityPublicKey, recorded []byte) bool {
	full, err := ours.Uncompressed()
	return err == nil && bytes.Equal(full[:], recorded)
}

// positive opens a good envelope, looks into it and makes it again.
func (v *envelopeVector) positive(l *lock, rep *Step) error {
	if v.Expect != "" {
		return malformed(v.where, "expect in a good envelope")
	}
	if err := missing(v.where, "payload", v.Payload); err != nil {
		return err
	}
	var signer *x3dh.IdentityKey
	if v.SignerPrivate != nil {
		key, err := x3dh.NewIdentity(v.SignerPrivate)
		if err != nil {
			return malformed(v.where, "signer_private_key: %w", err)
		}
		if v.ExpectedSigner == nil {
			return malformed(v.where, "the key of a signer, but no signer")
		}
		signer = &key
		rep.value("signer_private_key", sameIdentity(key.Public(), v.ExpectedSigner), "is that of %s", key.Public())
	}
	opened, err := l.open(v.Wire)
	rep.opened(opened, err, v.Payload, v.ExpectedSigner)
	v.looksInside(l, rep)
	v.compareAnswers(opened, err, l, rep)
	rep.reseal(l, signer, v.Payload, v.Wire)
	return nil
}

// opened compares what an envelope opens to; no signer means that it has none.
func (s *Step) opened(o envelope.Opened, err error, payload, signer []byte) {
	if err != nil && !errors.Is(err, envelope.ErrUnsigned) {
		s.refused = true
		s.differs(KindPlaintext, "payload", "ours: %v", err)
		return
	}
	s.plaintext = o.Data
	if bytes.Equal(o.Data, payload) {
		s.equal(KindPlaintext, "payload")
	} else {
		s.differs(KindPlaintext, "payload", "ours has %d bytes, recorded are %d", len(o.Data), len(payload))
	}
	if signer == nil {
		s.value("signer", err != nil, "ours is %s, recorded is none", o.Signer)
		return
	}
	s.value("signer", err == nil && sameIdentity(o.Signer, signer), "ours is %s (%v)", o.Signer, err)
}

// looksInside compares the recorded reading of the inside.
func (v *envelopeVector) looksInside(l *lock, rep *Step) {
	inner, err := l.inside(v.Wire)
	if err != nil {
		rep.differs(KindValue, "inner", "ours: %v", err)
		return
	}
	if v.Inner != nil {
		rep.value("inner", bytes.Equal(inner, v.Inner), "not ours")
	}
	if v.InnerLen != nil {
		rep.value("inner_len", len(inner) == *v.InnerLen, "ours is %d", len(inner))
	}
	if v.Flags != nil {
		rep.value("flags", len(inner) > 0 && int(inner[0]) == *v.Flags, "not ours")
	}
}

// negative gives an altered envelope to the decoder.
func (v *envelopeVector) negative(l *lock, rep *Step) error {
	if v.Payload != nil || v.ExpectedSigner != nil || v.SignerPrivate != nil || v.Inner != nil || v.InnerLen != nil || v.Flags != nil {
		return malformed(v.where, "an altered envelope with what a good one has")
	}
	opened, err := l.open(v.Wire)
	rep.refused = err != nil && !errors.Is(err, envelope.ErrUnsigned)
	if err := v.judge(opened, err, rep); err != nil {
		return err
	}
	v.compareAnswers(opened, err, l, rep)
	return nil
}

// judge compares the outcome with what is expected of it.
func (v *envelopeVector) judge(o envelope.Opened, err error, rep *Step) error {
	var data, other hexBytes
	kind, rest, _ := strings.Cut(v.Expect, ":")
	key, signed := strings.CutPrefix(v.Expect, "signer!=")
	switch {
	case v.Expect == "reject":
		if rep.refused {
			rep.equal(KindRefusal, "expect")
		} else {
			rep.differs(KindRefusal, "expect", "recorded as refused; we open it")
		}
	case v.Expect == "accept-empty", kind == "accept":
		if err := data.UnmarshalText([]byte(rest)); err != nil {
			return malformed(v.where, "expect: %w", err)
		}
		switch {
		case rep.refused:
			rep.differs(KindPlaintext, "expect", "recorded as opened; ours: %v", err)
		case !bytes.Equal(o.Data, data):
			rep.differs(KindPlaintext, "expect", "ours has %d other bytes, recorded are %d", len(o.Data), len(data))
		default:
			rep.equal(KindPlaintext, "expect")
		}
	case signed:
		if err := other.UnmarshalText([]byte(key)); err != nil {
			return malformed(v.where, "expect: %w", err)
		}
		if _, err := x3dh.ParseIdentity(other); err != nil {
			return malformed(v.where, "expect: %w", err)
		}
		rep.value("expect", err == nil && !sameIdentity(o.Signer, other), "ours is signed by %s (%v)", o.Signer, err)
	default:
		return malformed(v.where, "unknown expect %.40q", v.Expect)
	}
	return nil
}

// compareAnswers compares our outcome with those of the implementations. Where
// they part, expect has decided already.
func (v *envelopeVector) compareAnswers(o envelope.Opened, err error, l *lock, rep *Step) {
	refused := err != nil && !errors.Is(err, envelope.ErrUnsigned)
	for _, name := range slices.Sorted(maps.Keys(v.answers)) {
		a := v.answers[name]
		switch {
		case strings.HasPrefix(a.Error, "PANIC") && refused:
			rep.explained(KindRefusal, name, cause{devTypedRefusal, -1, "ours: " + err.Error()})
		case a.Error != "" && refused:
			rep.equal(KindRefusal, name)
		case a.Error == "" && !refused:
			same := bytes.Equal(a.Data, o.Data) && (a.Signer == nil && err != nil || a.Signer != nil && err == nil && sameIdentity(o.Signer, a.Signer))
			if a.PaddingLen != nil {
				inner, _ := l.inside(v.Wire)
				in, whole := splitInside(inner)
				same = same && whole && len(in.padding) == *a.PaddingLen
			}
			rep.value(name, same, "ours has %d bytes of %s (%v)", len(o.Data), o.Signer, err)
		default:
			rep.outside(NotChecked, name, "this implementation judges otherwise than the vector expects")
		}
	}
}
