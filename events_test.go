package rookery_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
)

const unspeakable = "a plaintext that nobody should see"

// happenings are all types of events, each with a short life in which it
// happens, with a payload that must not be printed where there is one.
var happenings = map[string]func(t *testing.T) (rookery.Event, device){
	"Message": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, false)
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.Message](w, 1, bob), bob
	},
	"ContactRequest": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.Ask, false)
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.ContactRequest](w, 1, bob), bob
	},
	"SentElsewhere": func(t *testing.T) (rookery.Event, device) {
		w := newWorld(t, backends[1])
		alice := w.person(2)
		w.send(alice[0], alice[0].key, unspeakable)
		return awaitThese[rookery.SentElsewhere](w, 1, alice[1]), alice[1]
	},
	"PublicMessage": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, false)
		w.join(chat, bob)
		w.sendPublic(alice, unspeakable)
		return awaitThese[rookery.PublicMessage](w, 1, bob), bob
	},
	"InstallationDiscovered": func(t *testing.T) (rookery.Event, device) {
		w, alice, _, _ := strangers(t, rookery.AcceptAll, true)
		return awaitThese[rookery.InstallationDiscovered](w, 1, alice), alice
	},
	"InstallationEnabled": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
		w.disable(alice, bob)
		return awaitThese[rookery.InstallationEnabled](w, 1, alice), alice
	},
	"InstallationStale": func(t *testing.T) (rookery.Event, device) {
		w := newWorld(t, backends[1])
		alice, bob := w.person(2), w.person(1)[0]
		w.introduceAll([]device{bob}, alice)
		w.disable(alice[0], alice[1])
		w.introduceAll([]device{bob}, alice) // leaves the other one out
		w.pass(7*24*time.Hour + time.Minute)
		w.sweepUntil("a stale installation", func() bool { return len(these[rookery.InstallationStale](w.bag.all(), bob)) > 0 })
		return awaitThese[rookery.InstallationStale](w, 1, bob), bob
	},
	"SessionChanged": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.SessionChanged](w, 1, bob), bob
	},
	"ForwardSecrecyEstablished": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.ForwardSecrecyEstablished](w, 1, bob), bob
	},
	"Refused": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.DenyAll, false)
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.Refused](w, 1, bob), bob
	},
	"Replaced": func(t *testing.T) (rookery.Event, device) {
		h := newHistory(t)
		return awaitThese[rookery.Replaced](h.again(t), 1, h.alice), h.alice
	},
	"Unsent": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
		w.air.refuseFrom(alice.key)
		w.send(alice, bob.key, unspeakable)
		w.pass(31 * 24 * time.Hour)
		w.sweepUntil("the report", func() bool { return len(these[rookery.Unsent](w.bag.all(), alice)) > 0 })
		return awaitThese[rookery.Unsent](w, 1, alice), alice
	},
	"Alarm": func(t *testing.T) (rookery.Event, device) {
		w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
		w.send(alice, bob.key, "with forward secrecy")
		w.awaitMessages(1, bob)
		w.close() // alice loses all that she knows of bob
		w.erase(alice, bob.key, persistence.KindSession, persistence.KindContact, persistence.KindInstallation)
		w.open()
		w.send(alice, bob.key, unspeakable)
		return awaitThese[rookery.Alarm](w, 1, bob), bob
	},
}

// T48: each event happens, at the identity that it names, and no way to print it
// or the receipt shows a payload.
// Spec: draft.contact-request.8 draft.ghost-device.2
func TestEveryEventHappensAndIsPrintedWithoutAPayload(t *testing.T) {
	for name, happens := range happenings {
		t.Run(name, func(t *testing.T) {
			e, at := happens(t)
			if got := fmt.Sprintf("%T", e); got != "rookery."+name {
				t.Errorf("a %s happened", got)
			}
			if i := e.To(); i.PublicKey() != at.key || i.InstallationID() != at.installation {
				t.Errorf("it happened to %v", i)
			}
			showsNoPayload(t, name, e)
		})
	}
}

func TestReceiptsArePrintedWithoutAPayload(t *testing.T) {
	w, alice, bob, _ := strangers(t, rookery.AcceptAll, true)
	receipt := w.send(alice, bob.key, unspeakable)
	showsNoPayload(t, "receipt", receipt)
	for _, r := range w.at(alice).SendGroup(w.context(), []rookery.PublicKey{bob.key, offCurve}, []byte(unspeakable)) {
		showsNoPayload(t, "receipt of a group", r)
	}
}

func showsNoPayload(t *testing.T, name string, value any) {
	t.Helper()
	holder := struct{ Held any }{value}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, v := range []any{value, &value, holder, []any{value}} {
			findSecret(t, name+" as "+verb, fmt.Sprintf(verb, v), []byte(unspeakable))
		}
	}
	var out bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("happened", "value", value, "holder", holder)
	}
	for _, v := range []any{value, holder} {
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s in JSON: %v", name, err)
		}
		out.Write(encoded)
	}
	findSecret(t, name+" in slog and JSON", out.String(), []byte(unspeakable))
}

// declared are the exported names that a file of Go declares, of those
// declarations whose own or whose group's comment has the given start.
func declared(t *testing.T, file string, kind token.Token, comment string) (names, values []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != kind || !strings.HasPrefix(group.Doc.Text(), comment) {
			continue
		}
		for _, spec := range group.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if _, ok := spec.Type.(*ast.StructType); ok && spec.Name.IsExported() {
					names = append(names, spec.Name.Name)
				}
			case *ast.ValueSpec:
				names = append(names, spec.Names[0].Name)
				if value, ok := spec.Values[0].(*ast.BasicLit); ok {
					text, err := strconv.Unquote(value.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, text)
				}
			}
		}
	}
	if len(names) == 0 {
		t.Fatalf("%s declares no %v %q", file, kind, comment)
	}
	return names, values
}

// The list of events is closed: each has its place in the documentation and a
// life above in which it happens, and so have causes and steps.
func TestEveryEventIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("docs", "events.md"))
	if err != nil {
		t.Fatal(err)
	}
	document := string(text)
	types, _ := declared(t, "events.go", token.TYPE, "")
	slices.Sort(types)
	if have := slices.Sorted(maps.Keys(happenings)); !slices.Equal(have, types) {
		t.Errorf("events.go has %v, the tests have %v", types, have)
	}
	var headings []string
	for line := range strings.Lines(document) {
		if heading, ok := strings.CutPrefix(line, "### "); ok {
			headings = append(headings, strings.TrimSpace(heading))
		}
	}
	slices.Sort(headings)
	if !slices.Equal(headings, types) {
		t.Errorf("events.go has %v, docs/events.md has %v", types, headings)
	}
	for _, comment := range []string{"Why a received message is Refused", "Why there is an Alarm"} {
		causes, _ := declared(t, filepath.Join("cause", "events.go"), token.VAR, comment)
		for _, cause := range causes {
			if !strings.Contains(document, "| `"+cause+"` |") {
				t.Errorf("docs/events.md does not say what %s is", cause)
			}
		}
	}
	for _, comment := range []string{"The steps in the life of a session", "The causes of transitions"} {
		_, values := declared(t, filepath.Join("sessionactor", "transition.go"), token.CONST, comment)
		for _, value := range values {
			if !strings.Contains(document, "| "+value+" |") {
				t.Errorf("docs/events.md does not say what %q is", value)
			}
		}
	}
}
