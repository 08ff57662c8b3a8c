package rookery_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	memstore "github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/transport"
)

// secretForms are the ways in which bytes get into a text.
func secretForms(secret []byte) map[string]string {
	list := func(format, separator string) string {
		parts := make([]string, len(secret))
		for i, b := range secret {
			parts[i] = fmt.Sprintf(format, b)
		}
		return strings.Join(parts, separator)
	}
	return map[string]string{
		"raw":            string(secret),
		"hex":            hex.EncodeToString(secret),
		"HEX":            strings.ToUpper(hex.EncodeToString(secret)),
		"base64":         strings.TrimRight(base64.StdEncoding.EncodeToString(secret), "="),
		"base64 for URL": strings.TrimRight(base64.URLEncoding.EncodeToString(secret), "="),
		"quoted":         strings.Trim(fmt.Sprintf("%q", secret), `"`),
		"decimal":        list("%d", " "),
		"decimal list":   list("%d", ", "),
		"decimal array":  list("%d", ","),
		"Go":             list("%#x", ", "),
		"spaced hex":     list("%02x", " "),
	}
}

func findSecret(t *testing.T, where, text string, secret []byte) {
	t.Helper()
	for form, show := range secretForms(secret) {
		if strings.Contains(text, show) {
			t.Errorf("%s shows a secret: %s", where, form)
		}
	}
}

// publicTypes are the names of all types of this package that others see.
func publicTypes(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			if group, ok := declared.(*ast.GenDecl); ok {
				for _, spec := range group.Specs {
					if of, ok := spec.(*ast.TypeSpec); ok && of.Name.IsExported() {
						types = append(types, of.Name.Name)
					}
				}
			}
		}
	}
	return types
}

// T48: each public type is among the events that happen, or printed here: with keys,
// plaintexts and passphrases of which none is shown, by no verb of fmt, no handler of
// slog and not in JSON.
func TestEveryPublicTypeIsPrintedWithoutASecret(t *testing.T) {
	const password = "correct horse battery staple, and more"
	scalar, payload := []byte("no private key must be printed !"), []byte("nor must a payload, whatever else")
	w := newWorld(t, backends[1])
	for _, text := range [][]byte{[]byte(password), scalar, payload} {
		w.leaks.Text(text)
	}
	fresh := rookery.NewIdentity{Key: scalar, InstallationID: "here"}
	alice, err := w.engine.CreateIdentity(w.context(), fresh)
	if err != nil {
		t.Fatal(err)
	}
	bob := w.person(1)[0]
	w.introduce(alice, w.at(bob))
	receipt, err := alice.Send(w.context(), bob.key, payload)
	if err != nil {
		t.Fatal(err)
	}
	direct, err := alice.Direct(bob.key)
	if err != nil {
		t.Fatal(err)
	}
	defer direct.Close()
	sealed, err := direct.Encrypt(w.context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{
		"Counts":        w.engine.Counts(),
		"Direct":        direct,
		"DirectMessage": sealed,
		"Engine":        w.engine,
		"Event":         rookery.Event(rookery.Refused{Identity: alice, Err: errRefused}),
		"GroupReceipt":  alice.SendGroup(w.context(), []rookery.PublicKey{bob.key}, payload)[0],
		"Identity":      alice,
		"MessageID":     receipt.ID,
		"NewIdentity":   fresh,
		"Options":       rookery.Options{Dir: "directory", Unlock: rookery.Passphrase(password)},
		"Protector":     rookery.Passphrase(password),
		"PublicKey":     alice.PublicKey(),
		"Receipt":       receipt,
	}
	log := w.leaks.Logger(nil)
	for _, name := range publicTypes(t) {
		value, here := values[name]
		if _, happens := happenings[name]; !here && !happens {
			t.Errorf("%s is not printed by any test", name)
		}
		if !here {
			continue
		}
		for _, v := range []any{value, &value, struct{ Held any }{value}, []any{value}, map[string]any{"in": value}} {
			w.leaks.Value(name, v)
			log.Debug("printed", "value", v)
			log.With("value", v).WithGroup("group").Error("printed", "value", v)
		}
	}
}

// T48: no way to print what embedders hold shows the private key.
func TestPrintingShowsNoPrivateKey(t *testing.T) {
	scalar := []byte("no private key must be printed !")
	const phrase = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
	store := lasting{memstore.New()}
	w := newWorld(t, on(store))
	fresh := rookery.NewIdentity{Key: scalar, Phrase: phrase, InstallationID: "here"}
	fromKey := fresh
	fromKey.Phrase = ""
	alice, err := w.engine.CreateIdentity(w.context(), fromKey)
	if err != nil {
		t.Fatal(err)
	}
	bob := w.person(1)[0]
	receipt, err := alice.Send(w.context(), bob.key, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	w.awaitMessages(1, bob)
	w.send(bob, alice.PublicKey(), "hello yourself")
	at := device{alice.PublicKey(), "here"}
	w.awaitMessages(1, at)
	idle, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Key: scalar, InstallationID: "idle"})
	if err != nil {
		t.Fatal(err)
	}
	_, exists := w.engine.CreateIdentity(w.context(), fromKey)
	message := messages(w.bag.all(), at)[0]
	values := map[string]any{
		"engine":        w.engine,
		"identity":      alice,
		"new identity":  fresh,
		"*new identity": &fresh,
		"nested":        struct{ New rookery.NewIdentity }{fresh},
		"message":       message,
		"*message":      &message,
		"receipt":       receipt,
		"options":       rookery.Options{Dir: "directory", Store: store, Transport: w.air, Handler: w.bag.handle},
		"identities":    w.engine.Identities(),
		"refused":       rookery.Refused{Identity: alice, Err: exists},
		"discovered":    rookery.InstallationDiscovered{Identity: alice},
		"error":         exists,
	}
	w.asleep(device{idle.PublicKey(), "idle"}) // so that nobody writes what is read here
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		// As a deep printer sees it, past all methods.
		findSecret(t, "an identity's fields as "+verb, fmt.Sprintf(verb, reflect.ValueOf(idle).Elem()), scalar)
	}
	for name, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			text := fmt.Sprintf(verb, value)
			findSecret(t, name+" as "+verb, text, scalar)
			if strings.Contains(text, "abandon") {
				t.Errorf("%s as %s shows the phrase", name, verb)
			}
		}
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).Info("value", "value", value)
		}
		encoded, err := json.Marshal(value)
		var unsupported *json.UnsupportedTypeError
		if err != nil && !errors.As(err, &unsupported) { // options hold functions
			t.Errorf("%s: %v", name, err)
		}
		out.Write(encoded)
		findSecret(t, name+" in slog and JSON", out.String(), scalar)
		if strings.Contains(out.String(), "abandon") {
			t.Errorf("%s in slog and JSON shows the phrase", name)
		}
	}
	if text := fmt.Sprint(alice); !strings.Contains(text, alice.PublicKey().String()) {
		t.Errorf("an identity prints as %q", text)
	}
	if text := fmt.Sprint(w.engine); text != "engine of 3 identities" {
		t.Errorf("an engine prints as %q", text)
	}
}

// ledger is a log that may be written to from anywhere.
type ledger struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *ledger) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// T48: the engine's own log shows neither keys nor payloads, not even when the
// handler panics with one.
func TestLogShowsNeitherKeysNorPayloads(t *testing.T) {
	scalar := []byte("no private key must be printed !")
	payload := []byte("nor must a payload, whatever else")
	var log ledger
	w := newWorld(t, backends[0], func(o *rookery.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		handle := o.Handler
		o.Handler = func(e rookery.Event) {
			handle(e)
			if m, ok := e.(rookery.Message); ok {
				panic(string(m.Payload))
			}
		}
	})
	alice, err := w.engine.CreateIdentity(w.context(), rookery.NewIdentity{Key: scalar})
	if err != nil {
		t.Fatal(err)
	}
	bob := w.person(2)
	w.introduce(alice, w.at(bob[0]))
	for range 3 {
		if _, err := alice.Send(w.context(), bob[0].key, payload); err != nil {
			t.Fatal(err)
		}
	}
	w.awaitMessages(3, bob...)
	w.air.deliver([]transport.Envelope{envelopeTo(bob[0], alice.PublicKey(), payload)})
	w.bag.await(t, "refusal", func(events []rookery.Event) bool { return len(refusals(events)) == 2 })
	w.reopen()
	w.close()
	text := log.String()
	if !strings.Contains(text, "quarantined") {
		t.Error("the panics are not in the log")
	}
	findSecret(t, "log", text, scalar)
	findSecret(t, "log", text, payload)
}

// T48: a received message can be logged; its payload is not in it.
func TestMessageIsPrintedWithoutItsPayload(t *testing.T) {
	m := rookery.Message{Installation: "phone", Payload: []byte("a plaintext that nobody should see")}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("received", "message", m)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("received", "message", m)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", m, m, m, m, m, m), log.String()} {
		if strings.Contains(text, "plaintext") || strings.Contains(text, "706c61696e") || strings.Contains(text, "cGxhaW50ZXh0") {
			t.Errorf("shows the payload: %s", text)
		}
		if !strings.Contains(text, "phone") {
			t.Errorf("does not say where it is from: %s", text)
		}
	}
}
