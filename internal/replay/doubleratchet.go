package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/internal/secret"
	"github.com/rookery-im/rookery/ratchet"
)

// ratchetScripts is a file of conversations on the ratchet alone.
type ratchetScripts struct {
	Scripts []ratchetScript `json:"scripts"`
}

type ratchetScript struct {
	Name           string         `json:"name"`
	SK             hexBytes       `json:"sk"`
	BobPriv        hexBytes       `json:"bob_ratchet_priv"`
	BobPub         hexBytes       `json:"bob_ratchet_pub"`
	AliceKeys      []generatedKey `json:"alice_initial_generated_keys"`
	MaxSkip        uint32         `json:"max_skip"`
	MaxKeep        uint64         `json:"max_keep"`
	MaxMessageKeys int            `json:"max_message_keys_per_session"`
	Ops            []ratchetOp    `json:"ops"`
}

type ratchetOp struct {
	I          int             `json:"i"`
	Op         string          `json:"op"`
	Who        string          `json:"who"`
	Ref        *int            `json:"ref"`
	Header     *scriptedHeader `json:"header"`
	Ciphertext hexBytes        `json:"ciphertext"`
	AD         hexBytes        `json:"ad"`
	Plaintext  hexBytes        `json:"plaintext"`
	Error      string          `json:"error"`
	Keys       []generatedKey  `json:"generated_keys"`
}

type scriptedHeader struct {
	DH hexBytes `json:"dh"`
	N  uint32   `json:"n"`
	PN uint32   `json:"pn"`
}

func replayDoubleRatchet(data []byte) (*FileReport, error) {
	var f ratchetScripts
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, &FormatError{Where: "doubleratchet", Reason: err}
	}
	if len(f.Scripts) == 0 {
		return nil, malformed("doubleratchet", "no scripts")
	}
	report := &FileReport{Schema: schemaDoubleRatchet}
	for i := range f.Scripts {
		steps, err := f.Scripts[i].run()
		if err != nil {
			return nil, err
		}
		report.Steps = append(report.Steps, steps...)
	}
	return report, nil
}

// run replays one conversation between alice, who starts, and bob.
func (s *ratchetScript) run() ([]Step, error) {
	sk, err := secret.NewKey(s.SK)
	bobKey, bobErr := curve.NewPrivateKey(s.BobPriv)
	if err := errors.Join(err, bobErr); err != nil || len(s.AliceKeys) != 1 || s.AliceKeys[0].Purpose != purposeRatchet {
		return nil, malformed(fmt.Sprintf("script %.40q", s.Name), "keys: %d of alice, %w", len(s.AliceKeys), err)
	}
	if err := checkDrawn(fmt.Sprintf("script %.40q", s.Name), s.AliceKeys, nil); err != nil {
		return nil, err
	}
	start := Step{I: -1, Cmd: "start", Node: s.Name, Status: Equal}
	newFeed(&expect{GeneratedKeys: s.AliceKeys}).checkPublics(&start)
	bobPub := bobKey.Public()
	start.value("bob_ratchet_pub", bytes.Equal(bobPub[:], s.BobPub), "ours is %s", bobPub)
	pair := ratchet.Secp256k1KeyPair(bobKey)
	alice, err := ratchet.NewInitiator(ratchet.Secp256k1, sk, pair.Public, bytes.NewReader(s.AliceKeys[0].Priv))
	if err != nil {
		return nil, malformed(fmt.Sprintf("script %.40q", s.Name), "alice: %w", err)
	}
	bob, err := ratchet.NewResponder(ratchet.Secp256k1, sk, pair)
	if err != nil {
		return nil, malformed(fmt.Sprintf("script %.40q", s.Name), "bob: %w", err)
	}
	sides := map[string]*session{"alice": scripted(alice), "bob": scripted(bob)}
	limits := ratchet.Limits{MaxSkip: s.MaxSkip, MaxKeep: s.MaxKeep, MaxStored: s.MaxMessageKeys}
	if err := checkLimits(fmt.Sprintf("script %.40q", s.Name), limits); err != nil {
		return nil, err
	}
	steps := []Step{start}
	for i := range s.Ops {
		op := &s.Ops[i]
		side := sides[op.Who]
		if side == nil || op.I != i {
			return nil, malformed(fmt.Sprintf("script %.40q, op %d", s.Name, i), "numbered %d, by %.40q", op.I, op.Who)
		}
		if err := s.resolve(op, i); err != nil {
			return nil, err
		}
		rep := Step{I: i, Cmd: op.Op, Node: s.Name + "/" + op.Who, Status: Equal}
		newFeed(&expect{GeneratedKeys: op.Keys}).checkPublics(&rep)
		if err := op.run(side, limits, &rep); err != nil {
			return nil, err
		}
		steps = append(steps, rep)
	}
	return steps, nil
}

func scripted(state ratchet.State) *session {
	return &session{
		state:   state,
		stored:  map[ratchet.KeyRef]ratchet.SkippedKey{},
		skipped: &ratchet.Skipped{},
		trace:   trace{delivered: map[ratchet.KeyRef]delivery{}, kept: map[ratchet.KeyRef]uint64{}},
	}
}

// resolve puts a referred message in its place.
func (s *ratchetScript) resolve(op *ratchetOp, i int) error {
	where := fmt.Sprintf("script %.40q, op %d", s.Name, i)
	if err := checkDrawn(where, op.Keys, nil); err != nil {
		return err
	}
	if op.Ref != nil {
		if *op.Ref < 0 || *op.Ref >= i {
			return malformed(where, "ref %d is not an earlier op", *op.Ref)
		}
		op.Header, op.Ciphertext = s.Ops[*op.Ref].Header, s.Ops[*op.Ref].Ciphertext
	}
	if op.Header == nil {
		return malformed(where, "no header")
	}
	return nil
}

func (op *ratchetOp) run(side *session, limits ratchet.Limits, rep *Step) error {
	switch op.Op {
	case "encrypt":
		op.encrypt(side, rep)
	case "decrypt":
		op.decrypt(side, limits, rep)
	case "delete_mk":
		key, err := ratchet.NewPublicKey(op.Header.DH)
		if err == nil {
			delete(side.trace.kept, ratchet.KeyRef{Ratchet: key, N: op.Header.N})
		}
		rep.outside(NotChecked, "delete_mk", "our message keys are deleted on use")
	default:
		return malformed(fmt.Sprintf("op %d", op.I), "unknown op %.40q", op.Op)
	}
	return nil
}

func (op *ratchetOp) encrypt(side *session, rep *Step) {
	next, m, err := side.state.Encrypt(op.Plaintext, op.AD, ratchet.UnsafeDerivedIV, bytes.NewReader(side.trace.next))
	if err != nil {
		rep.differs(KindWire, "ciphertext", "ours: %v", err)
		return
	}
	side.state = next
	h := op.Header
	if !bytes.Equal(h.DH, m.Header.Key.Bytes()) || h.N != m.Header.N || h.PN != m.Header.PN {
		rep.differs(KindWire, "header", "ours has n %d pn %d, recorded n %d pn %d", m.Header.N, m.Header.PN, h.N, h.PN)
	} else {
		rep.equal(KindWire, "header")
	}
	if bytes.Equal(op.Ciphertext, m.Ciphertext) {
		rep.equal(KindWire, "ciphertext")
		return
	}
	rep.differs(KindWire, "ciphertext", "not ours")
}

func (op *ratchetOp) decrypt(side *session, limits ratchet.Limits, rep *Step) {
	accepted := op.Error == ""
	f := &foreseen{}
	var got *result
	key, err := ratchet.NewPublicKey(op.Header.DH)
	if err == nil {
		m := ratchet.Message{Header: ratchet.Header{Key: key, N: op.Header.N, PN: op.Header.PN}, Ciphertext: op.Ciphertext}
		side.foresee(f, m, op.AD, limits)
		got, err = side.open(m, op.AD, limits)
	} else {
		f.refuse(refusedRatchetKey)
	}
	keys := newFeed(&expect{GeneratedKeys: op.Keys})
	ratchetKey, keyErr := keys.key(purposeRatchet, "")
	if made := keyErr == nil; made != f.turned || len(keys.left()) > 0 {
		rep.differs(KindValue, "generated_keys", "ratchet key recorded: %t, expected: %t, others %v", made, f.turned, keys.left())
	}
	foretold := false
	for _, r := range f.refusals {
		text := r.text
		if r.kind == kindPanic {
			text = "panic: " + text
		}
		foretold = foretold || text == op.Error
	}
	switch {
	case err == nil && accepted && bytes.Equal(got.plaintext, op.Plaintext):
		rep.equal(KindPlaintext, "plaintext")
	case err == nil && accepted:
		rep.differs(KindPlaintext, "plaintext", "ours has %d bytes, recorded are %d", len(got.plaintext), len(op.Plaintext))
	case err == nil && foretold && !got.turned && len(got.effects.Remove) > 0:
		rep.explained(KindRefusal, "error", cause{devSkippedLimits, -1, "the reference had deleted the message key"})
	case err != nil && accepted && f.again && bytes.Equal(f.plaintext, op.Plaintext):
		rep.explained(KindPlaintext, "plaintext", cause{devReplay, -1, "its message key was used before"})
	case err != nil && foretold && f.refusals[len(f.refusals)-1].kind == kindPanic:
		rep.explained(KindRefusal, "error", cause{devTypedRefusal, -1, "ours: " + err.Error()})
	case err != nil && foretold:
		rep.equal(KindRefusal, "error")
	case err == nil:
		rep.differs(KindPlaintext, "error", "we decrypt; recorded %q", op.Error)
	default:
		rep.differs(KindRefusal, "error", "recorded %q; ours: %v", op.Error, err)
	}
	if err == nil {
		got.commit(ratchetKey, limits)
	}
}
