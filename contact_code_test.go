package rookery_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/x3dh"
)

// codeOf is the format of docs/contact-code.md, word for word.
func codeOf(bundle []byte) string {
	sum := sha256.Sum256(append([]byte("rookery contact code 1"), bundle...))
	all := append(bytes.Clone(bundle), sum[:4]...)
	return "ROOKERY:1:" + strings.TrimRight(base32.StdEncoding.EncodeToString(all), "=")
}

// signedBundle is one of keys and times that are always the same.
func signedBundle(t testing.TB, change func(*wire.Bundle)) ([]byte, rookery.PublicKey) {
	t.Helper()
	key, err := x3dh.NewIdentity(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	prekey, err := x3dh.NewPreKey(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	b := wire.Bundle{
		PreKeys: []wire.SignedPreKey{{
			InstallationID: "0a8f5d6e-1c2b-4d3e-8f90-a1b2c3d4e5f6", Key: wire.PublicKey(prekey.Public()), Version: 1, ProtocolVersion: 1,
		}},
		Timestamp: 1_750_000_000_000_000_000,
	}
	if err := x3dh.SignBundle(&key, &b); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&b)
	}
	return wire.EncodeBundle(b), key.Public()
}

// exampleCode is the one in docs/contact-code.md.
const exampleCode = "ROOKERY:1:" +
	"BIQQGG4EYVLHWETEICMV2PWVVK5AKZOXDYMDIYCIDH7ZYF7V5HK52B4PCJHQUJBQ" +
	"ME4GMNLEGZSS2MLDGJRC2NDEGNSS2ODGHEYC2YJRMIZGGM3EGRSTKZRWCITQUIIC" +
	"JVFWZUJWCAZMVG6SV245SAFKJVC5T2WYBLEUEM3UYRI2OJKNA5TBAAIYAEREDMLJ" +
	"LQBNMIS5W63Y37NGN26TZDIV34H4OFABFN5H3OMTNXVR3NS2DGB5Z7EMJ62DAQJW" +
	"LCSUJTUOUT4UFNODXQSOFGHWMU3OGTOU65WACKEAQC6KPJXXZ6SBRDPQUCBQ"

// What was shown by an earlier release is taken by this one.
func TestContactCodeOfTheDocumentationIsTaken(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	bundle, key := signedBundle(t, nil)
	if got := codeOf(bundle); got != exampleCode {
		t.Errorf("the example is\n%s", got)
	}
	page, err := os.ReadFile(filepath.Join("docs", "contact-code.md"))
	if err != nil || !strings.Contains(string(page), "\n"+exampleCode+"\n") {
		t.Errorf("the documentation has another one: %v", err)
	}
	got, err := w.at(alice).TakeContactCode(w.context(), exampleCode)
	if err != nil || got != key {
		t.Fatalf("got %v, %v", got, err)
	}
	c, err := w.at(alice).Contact(w.context(), key)
	if err != nil || len(c.Installations) != 1 || c.Installations[0].ID != "0a8f5d6e-1c2b-4d3e-8f90-a1b2c3d4e5f6" {
		t.Errorf("got %+v, %v", c, err)
	}
}

// Spec: 5.bundle-retrieval.2
func TestContactCodeIntroduces(t *testing.T) {
	w := newWorld(t, backends[1], func(o *rookery.Options) { o.Requests = rookery.Ask })
	alice, bob := w.person(1)[0], w.person(3)
	code, err := w.at(bob[0]).ContactCode(w.context())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:") != "" {
		t.Errorf("letters that take more room in a QR code: %s", code)
	}
	for _, text := range []string{code, strings.ToLower(code), " " + code[:50] + "\r\n\t" + code[50:] + "\n"} {
		if !rookery.IsContactCode(text) {
			t.Errorf("not taken for a contact code: %q", text)
		}
		got, err := w.at(alice).TakeContactCode(w.context(), text)
		if err != nil || got != bob[0].key {
			t.Fatalf("%q: %v, %v", text, got, err)
		}
	}
	if receipt := w.send(alice, bob[0].key, "hello"); !receipt.ForwardSecrecy || len(receipt.Installations) != 3 {
		t.Errorf("receipt %+v", receipt)
	}
	for _, d := range bob {
		awaitThese[rookery.ContactRequest](w, 1, d)
	}
	w.send(bob[0], alice.key, "welcome")
	w.awaitMessages(1, alice) // who has accepted by taking the code
}

func TestContactCodesAreRefused(t *testing.T) {
	w := newWorld(t, backends[1])
	alice := w.person(1)[0]
	good, key := signedBundle(t, nil)
	altered := func(change func(*wire.Bundle)) string {
		b, _ := signedBundle(t, change)
		return codeOf(b)
	}
	code := codeOf(good)
	for _, test := range []struct {
		name, code string
		want       error
	}{
		{"nothing", "", rookery.ErrContactCode},
		{"only the scheme", "ROOKERY:", rookery.ErrContactCode},
		{"no content", "ROOKERY:1:", rookery.ErrContactCode},
		{"no version", "ROOKERY::" + code[10:], rookery.ErrNewerContactCode},
		{"a later version", "ROOKERY:2:" + code[10:], rookery.ErrNewerContactCode},
		{"another scheme", "https://example.org/" + code, rookery.ErrContactCode},
		{"a public key", key.String(), rookery.ErrContactCode},
		{"other letters", code[:20] + "1" + code[21:], rookery.ErrContactCode},
		{"padding", code + "====", rookery.ErrContactCode},
		{"something behind it", code + "AAAAAAAA", rookery.ErrContactCode},
		{"too long", "ROOKERY:1:" + strings.Repeat("A", 1<<20), rookery.ErrContactCode},
		{"an empty bundle", codeOf(nil), rookery.ErrContactCode},
		{"no bundle", codeOf([]byte("hello")), rookery.ErrContactCode},
		{"a wrong signature", altered(func(b *wire.Bundle) { b.Signature[7] ^= 1 }), cause.ErrUntrustedBundle},
		{"an altered prekey", altered(func(b *wire.Bundle) { b.PreKeys[0].Key = wire.PublicKey(alice.key) }), cause.ErrUntrustedBundle},
		{"an altered time", altered(func(b *wire.Bundle) { b.Timestamp++ }), cause.ErrUntrustedBundle},
		{"somebody else's name on it", altered(func(b *wire.Bundle) { b.Identity = wire.PublicKey(alice.key) }), cause.ErrUntrustedBundle},
		{"an identity off the curve", altered(func(b *wire.Bundle) { b.Identity = wire.PublicKey{2, 5} }), cause.ErrUntrustedBundle},
	} {
		if _, err := w.at(alice).TakeContactCode(w.context(), test.code); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	for n := range len(code) {
		if _, err := w.at(alice).TakeContactCode(w.context(), code[:n]); !errors.Is(err, rookery.ErrContactCode) {
			t.Errorf("cut after %d characters: %v", n, err)
		}
	}
	for n := 10; n < len(code)-1; n++ { // of the last letter some bits count for nothing
		other := byte('A')
		if code[n] == other {
			other = 'B'
		}
		if _, err := w.at(alice).TakeContactCode(w.context(), code[:n]+string(other)+code[n+1:]); !errors.Is(err, rookery.ErrContactCode) {
			t.Errorf("character %d altered: %v", n, err)
		}
	}
	if got := w.contactsOf(alice); len(got) != 0 {
		t.Errorf("something was taken: %+v", got)
	}
}

func TestPublicKeysAreRead(t *testing.T) {
	_, key := signedBundle(t, nil)
	long, err := key.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	uncompressed := hex.EncodeToString(long[:])
	for _, text := range []string{
		key.String(), "0x" + key.String(), strings.ToUpper(key.String()), " " + key.String() + "\n",
		uncompressed, "0x" + uncompressed, "0X" + strings.ToUpper(uncompressed),
	} {
		if got, err := rookery.ParsePublicKey(text); err != nil || got != key {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "0x", "x", key.String()[:64], key.String() + "00", "05" + key.String()[2:], "0x0x" + key.String(),
		uncompressed[:128], uncompressed[:129] + flipped(uncompressed[129]), "02" + strings.Repeat("ff", 32), "bob", exampleCode,
	} {
		if got, err := rookery.ParsePublicKey(text); !errors.Is(err, rookery.ErrPublicKey) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func flipped(digit byte) string {
	if digit == '0' {
		return "1"
	}
	return "0"
}

// What is read from a code reads back as the code, whatever somebody has put in it.
func FuzzReadContactCode(f *testing.F) {
	bundle, _ := signedBundle(f, nil)
	f.Add(codeOf(bundle))
	f.Add(codeOf(nil))
	f.Add("rookery:1:" + exampleCode)
	f.Add("ROOKERY:2:AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		key, bundle, err := rookery.ReadContactCode(text)
		if err != nil {
			if !errors.Is(err, rookery.ErrContactCode) && !errors.Is(err, rookery.ErrNewerContactCode) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, same, err := rookery.ReadContactCode(codeOf(bundle))
		if err != nil || again != key || !bytes.Equal(same, bundle) {
			t.Fatalf("%q: %v, %x, %v", text, again, same, err)
		}
	})
}
