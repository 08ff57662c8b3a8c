package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery/internal/qrcode"
	"github.com/rookery-im/rookery/proto/wire"
)

// pictureOf is one of the QR code of a text.
func pictureOf(t *testing.T, text string) []byte {
	t.Helper()
	code, err := qrcode.New(text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := code.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plainPicture has no code.
func plainPicture(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 50, 50))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two people meet by their codes, in each of the ways that a code can take.
//
// Spec: 5.bundle-retrieval.2 5.contact-request.1
func TestContactCodesGoFromOneToTheOther(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	aliceKey, bobKey := alice.new("--name=alice"), bob.new()
	path := filepath.Join(t.TempDir(), "bob.png")
	shown := bob.object("identity", "qr", "--png="+path)
	code := shown["code"].(string)
	if shown["identity"] != bobKey || shown["png"] != path || !strings.HasPrefix(code, "ROOKERY:1:") {
		t.Errorf("qr: %v", shown)
	}
	if text := bob.does("identity", "qr"); !strings.HasSuffix(text, "\n"+code+"\n") || strings.Count(text, "█") < 100 || strings.Contains(text, "\x1b") {
		t.Errorf("qr:\n%s", text)
	}
	bob.fails(exitError, "exists", "identity", "qr", "--png="+path)
	for _, args := range [][]string{{"--image=" + path}, {code}, {strings.ToLower(code)}} {
		if got := alice.object(append([]string{"contact", "add"}, args...)...); got["contact"] != bobKey || got["standing"] != "accepted" || got["devices"] != 1.0 {
			t.Errorf("%.30v: %v", args, got)
		}
	}
	status, out, errors := commandOn(t, strings.NewReader(alice.code()+"\n"), bob.args("contact", "add", "-", "--json")...)
	if status != 0 || objectsIn(t, out)[0]["contact"] != aliceKey {
		t.Errorf("status %d: %s%s", status, out, errors)
	}
	for _, digits := range []string{"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798", "0x0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"} {
		if got := alice.object("contact", "add", digits); got["devices"] != 0.0 || got["standing"] != "accepted" {
			t.Errorf("a key: %v", got)
		}
	}
	// Both see the same number.
	one := alice.object("contact", "show", bobKey)["safety_number"]
	if other := bob.object("identity", "show", "--with="+aliceKey)["safety_number"]; one != other || len(one.(string)) != 71 {
		t.Errorf("safety numbers %v and %v", one, other)
	}
	rows := strings.Fields(one.(string))
	if text := alice.does("contact", "show", bobKey); !strings.Contains(text, strings.Join(rows[:4], " ")+"\n") || !strings.Contains(text, strings.Join(rows[8:], " ")+"\n") {
		t.Errorf("show:\n%s", text)
	}
}

// forged is a code that is whole, with a signature that is not its owner's.
func forged(t *testing.T, code string) string {
	t.Helper()
	letters := base32.StdEncoding.WithPadding(base32.NoPadding)
	content, err := letters.DecodeString(strings.TrimPrefix(code, "ROOKERY:1:"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := wire.DecodeBundle(content[:len(content)-4])
	if err != nil {
		t.Fatal(err)
	}
	b.Signature[9] ^= 1
	bundle := wire.EncodeBundle(b)
	sum := sha256.Sum256(append([]byte("rookery contact code 1"), bundle...))
	return "ROOKERY:1:" + letters.EncodeToString(append(bundle, sum[:4]...))
}

// T29, T31: what is no code, not a whole one, or not by who it says leaves no contact.
func TestHostileContactCodesAreRefused(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bob.new()
	code := bob.code()
	flip := "A"
	if code[40:41] == flip {
		flip = "B"
	}
	write := func(picture []byte) string {
		path := filepath.Join(t.TempDir(), "picture")
		if err := os.WriteFile(path, picture, 0o600); err != nil {
			t.Fatal(err)
		}
		return "--image=" + path
	}
	for _, c := range []struct{ says, arg string }{
		{"cut short", code[:len(code)-8]},
		{"has to be whole", code[:11]},
		{"was changed on its way", code[:40] + flip + code[41:]},
		{"use a later release", strings.Replace(code, ":1:", ":2:", 1)},
		{"neither a contact code nor a public key", "bob"},
		{"66 or 130 hexadecimal digits", strings.Repeat("02", 32)},
		{"66 or 130 hexadecimal digits", "02" + strings.Repeat("ff", 32)},
		{"no such file", "--image=/nowhere"},
		{"the QR code says something else", write(pictureOf(t, "https://example.org/?ROOKERY:1:"))},
		{"was changed on its way", write(pictureOf(t, code[:40]+flip+code[41:]))},
		{"none found in the picture", write(plainPicture(t))},
		{"not a picture", write([]byte(code))},
		{"not by who it says it is of", forged(t, code)},
		{"not by who it says it is of", write(pictureOf(t, forged(t, code)))},
	} {
		alice.fails(exitError, c.says, "contact", "add", c.arg)
	}
	alice.fails(exitError, "whose?", "contact", "add")
	alice.fails(exitError, "whose?", "contact", "add", code, "--image=x")
	alice.fails(exitError, "it is our own identity", "contact", "add", alice.object("identity", "show")["identity"].(string))
	if got := alice.objects("contact", "list"); len(got) != 0 {
		t.Errorf("contacts: %v", got)
	}
}
