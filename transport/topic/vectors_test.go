package topic

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

// vectors is topics.json of the recordings, made by the deployed code.
type vectors struct {
	Identities []struct {
		PrivateKey         string      `json:"private_key"`
		PublicCompressed   string      `json:"public_compressed"`
		PublicUncompressed string      `json:"public_uncompressed"`
		Partition          uint64      `json:"partition"`
		ContactCode        namedVector `json:"contact_code"`
		Partitioned        namedVector `json:"partitioned"`
		Personal           namedVector `json:"personal"`
	} `json:"identities"`
	Pairs []struct {
		namedVector
		KeyName  string `json:"key_name"`
		Note     string `json:"note"`
		PrivateA string `json:"private_a"`
		PrivateB string `json:"private_b"`
		PublicA  string `json:"public_a"`
		PublicB  string `json:"public_b"`
	} `json:"pairs"`
	Named []namedVector `json:"named"`
}

type namedVector struct {
	Name         string `json:"name"`
	Topic        string `json:"topic"`
	ContentTopic string `json:"content_topic"`
	SymKey       string `json:"sym_key"`
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	readJSON(t, "../../testdata/recordings/transport/topics.json", &v)
	return v
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func unhex(t *testing.T, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.TrimPrefix(digits, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func identityKey(t *testing.T, scalar string) *x3dh.IdentityKey {
	t.Helper()
	k, err := x3dh.NewIdentity(unhex(t, scalar))
	if err != nil {
		t.Fatal(err)
	}
	return &k
}

func publicKey(t *testing.T, digits string) x3dh.IdentityPublicKey {
	t.Helper()
	k, err := x3dh.ParseIdentity(unhex(t, digits))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// must is a name that has to be one.
func must(t *testing.T) func(Name, error) Name {
	t.Helper()
	return func(n Name, err error) Name {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// is holds that a name is that of a vector, in every form.
func (v namedVector) is(t *testing.T, n Name, kind Kind) {
	t.Helper()
	if string(n.text) != v.Name || n.Kind() != kind {
		t.Errorf("%s named %q, want %s named %q", n.Kind(), n.text, kind, v.Name)
	}
	if got := n.Topic().String(); got != "0x"+v.Topic {
		t.Errorf("%s: topic %s, want 0x%s", v.Name, got, v.Topic)
	}
	if got := n.Topic().ContentTopic(); string(got) != v.ContentTopic {
		t.Errorf("%s: content topic %s, want %s", v.Name, got, v.ContentTopic)
	}
	parsed, err := ParseContentTopic(v.ContentTopic)
	if err != nil || parsed != n.Topic() {
		t.Errorf("%s: content topic %s is read as %s, %v", v.Name, v.ContentTopic, parsed, err)
	}
	key, err := DeriveKey(n)
	if v.SymKey == "" {
		if err == nil || kind.Symmetric() {
			t.Errorf("%s: there is a symmetric key", v.Name)
		}
		return
	}
	if err != nil || hex.EncodeToString(key.Bytes()) != v.SymKey || !kind.Symmetric() {
		t.Errorf("%s: key %x, %v, want %s", v.Name, key.Array(), err, v.SymKey)
	}
}

// Spec: 5.prekeys.5 54.discovery.1
func TestTopicsOfIdentitiesAreAsDeployed(t *testing.T) {
	for _, v := range readVectors(t).Identities {
		identity := publicKey(t, v.PublicUncompressed)
		if want := publicKey(t, v.PublicCompressed); identity != want || identityKey(t, v.PrivateKey).Public() != want {
			t.Fatalf("the vector has two keys: %s and %s", identity, want)
		}
		if got := partition(identity); got != v.Partition {
			t.Errorf("%s: partition %d, want %d", identity, got, v.Partition)
		}
		v.ContactCode.is(t, must(t)(ContactCode(identity)), KindContactCode)
		v.Partitioned.is(t, Partitioned(identity), KindPartitioned)
		v.Personal.is(t, must(t)(Personal(identity)), KindPersonal)
	}
}

// Among them is a secret that begins with a zero byte.
func TestNegotiatedTopicsAreAsDeployedFromBothSides(t *testing.T) {
	padded := false
	for _, v := range readVectors(t).Pairs {
		v.Name = v.KeyName
		padded = padded || strings.HasPrefix(v.KeyName, "00")
		v.is(t, must(t)(Negotiated(identityKey(t, v.PrivateA), publicKey(t, v.PublicB))), KindNegotiated)
		v.is(t, must(t)(Negotiated(identityKey(t, v.PrivateB), publicKey(t, v.PublicA))), KindNegotiated)
	}
	if !padded {
		t.Error("no vector has a secret with a leading zero")
	}
}

func TestTopicsOfPublicChatsAreAsDeployed(t *testing.T) {
	for _, v := range readVectors(t).Named {
		v.is(t, must(t)(PublicChat(v.Name)), KindPublicChat)
	}
}
