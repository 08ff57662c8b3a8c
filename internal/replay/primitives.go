package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/rookery-im/rookery/internal/curve"
)

// primitives is a file of single function calls.
type primitives struct {
	Vectors []vector `json:"vectors"`
}

// vector is one function call of the reference.
type vector struct {
	I         int                        `json:"i"`
	Fn        string                     `json:"fn"`
	Args      map[string]json.RawMessage `json:"args"`
	Out       map[string]json.RawMessage `json:"out"`
	Error     string                     `json:"error"`
	ErrorKind string                     `json:"error_kind"`
	Panic     bool                       `json:"panic"`
}

// outcome is what our core made of a vector: named results, or a refusal and
// the words in which the reference refuses the same.
type outcome struct {
	values   map[string][]byte
	texts    map[string]string
	err      error
	refusals []refusal
	// why explains a refusal where the reference gives a result: exactly values.
	why *cause
}

func refused(err error, r ...refusal) outcome { return outcome{err: err, refusals: r} }

// arguments gives the arguments of a vector; the first problem sticks.
type arguments struct {
	v   *vector
	err error
}

func (a *arguments) read(name string, to any) {
	raw, present := a.v.Args[name]
	if !present && a.err == nil {
		a.err = malformed(fmt.Sprintf("vector %d", a.v.I), "no argument %q", name)
	}
	if present {
		if err := json.Unmarshal(raw, to); err != nil && a.err == nil {
			a.err = malformed(fmt.Sprintf("vector %d", a.v.I), "argument %q: %w", name, err)
		}
	}
}

func (a *arguments) bytes(name string) []byte {
	var h hexBytes
	a.read(name, &h)
	return h
}

func (a *arguments) number(name string) uint32 {
	var n uint32
	a.read(name, &n)
	return n
}

// functions are those that our core has.
var functions = map[string]func(a *arguments) outcome{
	"pubkey":                    pubkeyVector,
	"decompress":                decompressVector,
	"keccak256":                 keccakVector,
	"sign":                      signVector,
	"recover":                   recoverVector,
	"dh":                        dhVector,
	"perform_dh":                performDHVector,
	"shared_secret":             sharedSecretVector,
	"kdf_rk":                    kdfRootVector,
	"kdf_ck":                    kdfChainVector,
	"derive_enc_keys":           kdfMessageVector,
	"dr_header":                 headerVector,
	"dr_encrypt":                encryptVector,
	"dr_decrypt":                decryptVector,
	"x3dh_active":               initiateVector,
	"x3dh_passive":              respondVector,
	"bundle_signature_material": materialVector,
	"sign_bundle":               signBundleVector,
	"verify_bundle":             verifyBundleVector,
	"encrypt_symmetric":         sealVector,
	"decrypt_symmetric":         openVector,
	"topics":                    topicsVector,
}

// groupFunctions belong to the group hash ratchet.
var groupFunctions = []string{"hr_key_id", "most_relevant_bytes", "group_encrypt", "group_decrypt", "rekey_build", "rekey_decrypt"}

func replayPrimitives(data []byte) (*FileReport, error) {
	var p primitives
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, &FormatError{Where: "primitives", Reason: err}
	}
	if len(p.Vectors) == 0 {
		return nil, malformed("primitives", "no vectors")
	}
	report := &FileReport{Schema: schemaPrimitives}
	for i := range p.Vectors {
		v := &p.Vectors[i]
		rep := Step{I: v.I, Cmd: v.Fn, Status: Equal}
		if v.I != i {
			return nil, malformed(fmt.Sprintf("vector %d", i), "numbered %d", v.I)
		}
		if slices.Contains(groupFunctions, v.Fn) {
			rep.outside(NotSupported, v.Fn, "group hash ratchet, outside the specifications")
			report.Steps = append(report.Steps, rep)
			continue
		}
		call := functions[v.Fn]
		if call == nil {
			return nil, malformed(fmt.Sprintf("vector %d", i), "unknown fn %.40q", v.Fn)
		}
		a := &arguments{v: v}
		result := call(a)
		if a.err != nil {
			return nil, a.err
		}
		rep.compareVector(v, result)
		report.Steps = append(report.Steps, rep)
	}
	return report, nil
}

func (s *Step) compareVector(v *vector, o outcome) {
	e := &expect{OK: v.ErrorKind == "" && v.Error == "" && !v.Panic, Error: v.Error, ErrorKind: v.ErrorKind, Panic: v.Panic}
	switch {
	case o.err != nil && e.OK && o.why != nil:
		s.explainOut(v.Out, o)
	case o.err != nil && !anyMatches(o.refusals, e):
		s.differs(KindRefusal, "error", "recorded %s %q; ours: %v", e.ErrorKind, e.Error, o.err)
	case o.err != nil && v.Panic:
		s.explained(KindRefusal, "error", cause{devTypedRefusal, -1, "ours: " + o.err.Error()})
	case o.err != nil:
		s.equal(KindRefusal, "error")
	case !e.OK:
		s.differs(KindRefusal, "error", "recorded %s %q; we have a result", e.ErrorKind, e.Error)
	default:
		s.compareOut(v.Out, o)
	}
}

// explainOut grants the explanation of a refusal for the foretold results only.
func (s *Step) explainOut(out map[string]json.RawMessage, o outcome) {
	foretold := Step{Status: Equal}
	if foretold.compareOut(out, o); foretold.Status != Equal {
		s.differs(KindRefusal, "out", "the recorded result is not the one expected where ours is: %v", o.err)
		return
	}
	s.explained(KindRefusal, "out", *o.why)
}

// compareOut compares every recorded result.
func (s *Step) compareOut(out map[string]json.RawMessage, o outcome) {
	if len(out) != len(o.values)+len(o.texts) {
		s.differs(KindValue, "out", "recorded are %d results, ours are %d", len(out), len(o.values)+len(o.texts))
	}
	for name, raw := range out {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			s.differs(KindValue, name, "recorded value is no text")
			continue
		}
		if ours, ok := o.texts[name]; ok {
			s.value(name, ours == text, "ours is %q", ours)
			continue
		}
		var recorded hexBytes
		err := recorded.UnmarshalText([]byte(text))
		ours, ok := o.values[name]
		s.value(name, err == nil && ok && bytes.Equal(ours, recorded), "not ours")
	}
}

// privateKey reads a scalar; the refusals are the reference's words.
func privateKey(b []byte) (curve.PrivateKey, []refusal, error) {
	k, err := curve.NewPrivateKey(b)
	switch {
	case err == nil:
		return k, nil, nil
	case len(b) != 32:
		return k, []refusal{{kindOther, "invalid length, need 256 bits"}}, err
	case bytes.Equal(b, make([]byte, 32)):
		return k, []refusal{{kindOther, "invalid private key, zero or negative"}}, err
	}
	return k, []refusal{{kindOther, "invalid private key, >=N"}}, err
}

func publicKey(b []byte) (curve.PublicKey, error) {
	if len(b) == curve.UncompressedSize {
		return curve.ParseUncompressed(b)
	}
	return curve.ParsePublicKey(b)
}
