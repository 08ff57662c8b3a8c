package replay

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/wire"
)

func loadRecording(t *testing.T, name string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(recordings, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return parseLoose(t, data).(map[string]any)
}

func stepsOf(v map[string]any) []any { return v["steps"].([]any) }

// referred gives the bytes that an earlier step has in expect.
func referred(t *testing.T, v map[string]any, ref any, field string) []byte {
	t.Helper()
	i, err := ref.(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(stepsOf(v)[i].(map[string]any)["expect"].(map[string]any)[field].(string))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// highForm is the other form of a canonical signature.
func highForm(t *testing.T, sig curve.Signature) curve.Signature {
	t.Helper()
	high, s := sig, new(big.Int).SetBytes(sig[32:64])
	s.Sub(groupOrder, s).FillBytes(high[32:64])
	high[64] ^= 1
	if high == sig || lowS(high) != sig || lowS(sig) != sig {
		t.Fatal("not another form of a canonical signature")
	}
	return high
}

func only(c Counts, id string) bool { return c.Differs == 0 && c.Explained[id] > 0 }

// The replay explains a signature with s in the upper half where the reference
// takes it, and only if the same key is recovered (T31).
func TestHighSignaturesAreExplained(t *testing.T) {
	t.Run("recover", func(t *testing.T) {
		v := loadRecording(t, "primitives")
		for _, x := range v["vectors"].([]any) {
			vector := x.(map[string]any)
			if vector["fn"] != "recover" || vector["error"] != nil || vector["out"] == nil {
				continue
			}
			args, out := vector["args"].(map[string]any), vector["out"].(map[string]any)
			raw, err := hex.DecodeString(args["signature"].(string))
			if err != nil {
				t.Fatal(err)
			}
			high := highForm(t, curve.Signature(raw))
			args["signature"] = hex.EncodeToString(high[:])
			vector["i"], v["vectors"] = 0, []any{vector}
			if c := replayed(t, v).Counts(); !only(c, devCanonicalSignature) {
				t.Errorf("not explained: %s", c)
			}
			full := out["uncompressed"].(string)
			out["uncompressed"] = full[:len(full)-2] + "00"
			if full[len(full)-2:] == "00" {
				out["uncompressed"] = full[:len(full)-2] + "01"
			}
			if c := replayed(t, v).Counts(); c.Differs == 0 {
				t.Error("another key is explained")
			}
			out["uncompressed"] = full
			vector["error"], vector["error_kind"] = refusedRecovery.text, refusedRecovery.kind
			if c := replayed(t, v).Counts(); c.Differs == 0 {
				t.Error("a refusal that the reference cannot have given is taken")
			}
			return
		}
		t.Fatal("no vector")
	})
	for _, c := range []struct {
		name   string
		change func(*wire.Bundle)
		taken  bool
	}{
		{"high s", func(*wire.Bundle) {}, true},
		{"high s, wrong v", func(b *wire.Bundle) { b.Signature[64] ^= 1 }, false},
		{"high s of other bytes", func(b *wire.Bundle) { b.Timestamp++ }, false},
	} {
		t.Run("process_bundle/"+c.name, func(t *testing.T) {
			v := loadRecording(t, "sessions/ping_pong")
			at := slices.IndexFunc(stepsOf(v), func(x any) bool { return x.(map[string]any)["cmd"] == "process_bundle" })
			s := stepsOf(v)[at].(map[string]any)
			b, err := wire.DecodeBundle(referred(t, v, s["bundle_ref"], "bundle"))
			if err != nil {
				t.Fatal(err)
			}
			b.Signature = highForm(t, b.Signature)
			c.change(&b)
			delete(s, "bundle_ref")
			s["bundle"] = hex.EncodeToString(wire.EncodeBundle(b))
			report := replayed(t, v)
			if got := report.Steps[at].Status; (got == Explained) != c.taken || (got == Differs) == c.taken {
				t.Errorf("step is %s", got)
			}
			if counts := report.Counts(); c.taken && !only(counts, devCanonicalSignature) {
				t.Errorf("%s", counts)
			}
		})
	}
	// The same beside a message: the reference reads it.
	for _, name := range []string{"ping_pong", "no_bundle_dh"} {
		t.Run("decrypt/"+name, func(t *testing.T) {
			v := loadRecording(t, "sessions/"+name)
			at := slices.IndexFunc(stepsOf(v), func(x any) bool {
				s := x.(map[string]any)
				return s["cmd"] == "decrypt" && s["message_ref"] != nil && s["expect"].(map[string]any)["ok"] == true
			})
			s := stepsOf(v)[at].(map[string]any)
			m, err := wire.Decode(referred(t, v, s["message_ref"], "message"))
			if err != nil || len(m.Bundles) == 0 {
				t.Fatal("no bundle in the message: ", err)
			}
			m.Bundles[0].Signature = highForm(t, m.Bundles[0].Signature)
			delete(s, "message_ref")
			s["message"] = hex.EncodeToString(m.Encode())
			if r := replayed(t, v); r.Steps[at].Status != Explained {
				t.Errorf("step %d: %v", at, r.Steps[at])
			}
			s["expect"].(map[string]any)["plaintext"] = "00"
			if r := replayed(t, v); r.Steps[at].Status != Differs {
				t.Error("another plaintext is explained")
			}
		})
	}
}

// A message that our decoder refuses for a prekey has no plaintext that we could
// compare: one that is recorded is a difference.
func TestStrictDecodingExplainsNoPlaintext(t *testing.T) {
	v := loadRecording(t, "sessions/ping_pong")
	for i, x := range stepsOf(v) {
		s := x.(map[string]any)
		if s["cmd"] != "decrypt" {
			continue
		}
		raw := referred(t, v, s["message_ref"], "message")
		m, err := wire.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		m.Bundles[0].PreKeys[0].Key[0] = 9
		delete(s, "message_ref")
		s["message"] = hex.EncodeToString(m.Encode())
		if r := replayed(t, v); r.Steps[i].Status != Differs {
			t.Errorf("step %d: %v", i, r.Steps[i])
		}
		return
	}
	t.Fatal("no message")
}

// The result for a shorter AES key is explained only if it is the right one.
func TestShorterKeysAreExplainedExactly(t *testing.T) {
	v := loadRecording(t, "primitives")
	tried := 0
	for _, x := range v["vectors"].([]any) {
		vector := x.(map[string]any)
		args, _ := vector["args"].(map[string]any)
		key, _ := args["key"].(string)
		if fn := vector["fn"]; fn != "encrypt_symmetric" && fn != "decrypt_symmetric" || len(key) != 32 && len(key) != 48 {
			continue
		}
		tried++
		vector["i"] = 0
		one := map[string]any{"schema": v["schema"], "vectors": []any{vector}}
		if c := replayed(t, one).Counts(); !only(c, devAES256) {
			t.Errorf("%s with %d bytes: %s", vector["fn"], len(key)/2, c)
		}
		for name := range vector["out"].(map[string]any) {
			vector["out"].(map[string]any)[name] = "deadbeef"
		}
		if c := replayed(t, one).Counts(); c.Differs == 0 {
			t.Errorf("%s with %d bytes: another result is explained", vector["fn"], len(key)/2)
		}
		vector["error"], vector["error_kind"] = refusedAEAD.text, refusedAEAD.kind
		if c := replayed(t, one).Counts(); c.Differs == 0 {
			t.Errorf("%s with %d bytes: a refusal of a good input is taken", vector["fn"], len(key)/2)
		}
	}
	if tried != 4 {
		t.Errorf("%d vectors with shorter keys, want 4", tried)
	}
}
