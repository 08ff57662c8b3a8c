package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

func TestIdentitiesComeAndGo(t *testing.T) {
	p := newPerson(t)
	p.fails(exitError, "there is no store", "identity", "list")
	alice := p.new("--name=alice")
	bob := p.new()
	list := p.objects("identity", "list")
	if len(list) != 2 || list[0]["identity"] != bob || list[1]["identity"] != alice || list[1]["name"] != "alice" || list[0]["retired"] != false {
		t.Errorf("list: %v", list)
	}
	for _, who := range []string{"alice", alice[:8], "0x" + strings.ToUpper(alice[:6]), alice, list[1]["installation"].(string)[:6]} {
		if got := p.object("identity", "show", "--identity="+who); got["identity"] != alice {
			t.Errorf("%s is %v", who, got)
		}
	}
	text := p.does("identity", "show", "--identity=alice")
	if !regexp.MustCompile(`(?s)^` + alice + `\n  name +alice\n  installation +\S+\n  as Status shows it +0x04[0-9a-f]{128}\n  devices +1 .*\n  contacts +0 `).MatchString(text) {
		t.Errorf("show:\n%s", text)
	}
	p.fails(exitError, "which identity? more than one could be meant", "identity", "show")
	p.fails(exitError, `identity "carol" not found`, "identity", "show", "--identity=carol")
	p.fails(exitError, "not found", "identity", "show", "--identity="+alice[:3])
	p.fails(exitError, `there is one called "alice"`, "identity", "create", "--name=alice")
	p.fails(exitError, "printable text", "identity", "create", "--name=a\x1bb")
	p.fails(exitError, "say --yes", "identity", "delete", "--identity=alice")
	if got := p.object("identity", "delete", "--identity=alice", "--yes"); got["deleted"] != true || got["identity"] != alice {
		t.Errorf("delete: %v", got)
	}
	if got := p.object("identity", "list"); got["identity"] != bob {
		t.Errorf("left: %v", got)
	}
	if got := p.object("identity", "show"); got["identity"] != bob {
		t.Errorf("the only one: %v", got)
	}
	p.does("identity", "delete", "--yes")
	p.fails(exitError, "there is none in the store yet", "identity", "show")
	says(t, 0, `^$`, p.args("identity", "list")...)
	says(t, 0, `not in order +0`, "store", "check", p.dir, "--key-file", p.key)
}

// An identity is who its phrase or private key says, and a phrase that is made leads
// back to it.
func TestIdentitiesAreImported(t *testing.T) {
	p, q := newPerson(t), newPerson(t)
	path := filepath.Join(t.TempDir(), "phrase")
	made := p.object("identity", "create", "--phrase-to="+path)
	if made["phrase_file"] != path {
		t.Errorf("made: %v", made)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	got := q.object("identity", "import", "--name=again", "--phrase-file="+path)
	if got["identity"] != made["identity"] || got["installation"] == made["installation"] || got["name"] != "again" {
		t.Errorf("imported %v, made %v", got, made)
	}
	p.fails(exitError, "exists", "identity", "create", "--phrase-to="+path)

	const one = "0000000000000000000000000000000000000000000000000000000000000001"
	status, out, errors := commandOn(t, strings.NewReader("0x"+one+"\n"), p.args("identity", "import", "--private-key-file=-", "--json")...)
	const generator = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
	if status != 0 || objectsIn(t, out)[0]["identity"] != generator {
		t.Errorf("status %d: %s%s", status, out, errors)
	}
	for _, c := range []struct{ flag, content, says string }{
		{"--private-key-file", strings.Repeat("0", 64), "a private key has 64 hexadecimal digits"},
		{"--private-key-file", strings.Repeat("f", 64), "a private key has 64 hexadecimal digits"},
		{"--private-key-file", one[:62], "a private key has 64 hexadecimal digits"},
		{"--private-key-file", "my secret key", "a private key has 64 hexadecimal digits"},
		{"--private-key-file", "", "one line"},
		{"--phrase-file", "my secret phrase", "BIP-39"},
		{"--phrase-file", "legal winner thank year wave sausage worth useful legal winner thank thank", "BIP-39"},
	} {
		p.failsOn(strings.NewReader(c.content), exitError, c.says, "identity", "import", c.flag+"=-")
		_, _, errors := commandOn(t, strings.NewReader(c.content), p.args("identity", "import", c.flag+"=-")...)
		if len(c.content) > 8 && strings.Contains(errors, c.content) {
			t.Errorf("the secret is shown: %s", errors)
		}
	}
	loose := file(t, one+"\n")
	if err := os.Chmod(loose, 0o644); err != nil {
		t.Fatal(err)
	}
	p.fails(exitError, "others may read it", "identity", "import", "--private-key-file="+loose)
	p.fails(exitError, "phrase-file", "identity", "import")
}

func TestPrefixesOfSeveralAreRefused(t *testing.T) {
	p := newPerson(t)
	seen := make(map[string]string)
	for n := 1; ; n++ {
		scalar := fmt.Sprintf("%064x", n)
		key := publicOf(t, scalar)
		if other, ok := seen[key[:4]]; ok {
			for _, one := range []string{other, scalar} {
				p.does("identity", "import", "--private-key-file="+file(t, one))
			}
			p.fails(exitError, "more than one could be meant", "identity", "show", "--identity="+key[:4])
			if got := p.object("identity", "show", "--identity="+key[:20]); got["identity"] != key {
				t.Errorf("got %v", got)
			}
			return
		}
		seen[key[:4]] = scalar
	}
}

func publicOf(t *testing.T, scalar string) string {
	t.Helper()
	raw, err := hex.DecodeString(scalar)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x3dh.NewIdentity(raw)
	if err != nil {
		t.Fatal(err)
	}
	return key.Public().String()
}

// Commands that cannot be carried out say so, and make nothing.
func TestCommandsNeedTheirStoreAndNetwork(t *testing.T) {
	p := newPerson(t)
	for _, args := range [][]string{
		{"identity", "show"},
		{"identity", "list"},
		{"identity", "qr"},
		{"identity", "delete", "--yes"},
		{"contact", "list"},
		{"device", "list"},
		{"listen", "--transport=memory"},
		{"send", "--transport=memory", "--to=0211", "x"},
	} {
		p.fails(exitError, "there is no store", args...)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("a store was made: %v", err)
	}
	p.new()
	p.fails(exitError, "give --transport", "listen")
	p.fails(exitError, "give --transport", "send", "--to="+strings.Repeat("02", 33), "x")
	p.fails(exitError, `"pigeon" is no kind of network`, "listen", "--transport=pigeon")
	p.fails(exitError, "negative", "listen", "--transport=memory", "--count=-1")
	t.Setenv("ROOKERY_DIR", p.dir)
	t.Setenv("ROOKERY_KEY_FILE", p.key)
	says(t, 0, `"identity"`, "identity", "list", "--json")
}
