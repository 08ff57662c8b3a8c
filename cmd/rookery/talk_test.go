package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// says sends a text over the network of this process.
func (p person) says(to string, args ...string) map[string]any {
	p.t.Helper()
	return p.object(append([]string{"send", "--transport=memory", "--to=" + to}, args...)...)
}

// messagesIn are the events that carry a message.
func messagesIn(t *testing.T, out string) []map[string]any {
	t.Helper()
	return slices.DeleteFunc(objectsIn(t, out), func(e map[string]any) bool { return e["id"] == nil })
}

// one is the only message.
func one(t *testing.T, out string) map[string]any {
	t.Helper()
	all := messagesIn(t, out)
	if len(all) != 1 {
		t.Fatalf("%d messages: %s", len(all), out)
	}
	return all[0]
}

// textsIn are what messages say, sorted: their order is the network's.
func textsIn(t *testing.T, out string) []string {
	t.Helper()
	var all []string
	for _, m := range messagesIn(t, out) {
		all = append(all, m["text"].(string))
	}
	slices.Sort(all)
	return all
}

// A conversation as two people have it: a code, a request, its answer, a message in
// each direction.
func TestTwoPeopleTalkByTheCommandLine(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	aliceKey, bobKey := alice.new("--name=alice"), bob.new("--name=bob")
	alice.does("contact", "add", bob.code())

	l := bob.listens("--json", "--count=1")
	sent := alice.says(bobKey[:10], "hello", "Bob")
	got := one(t, l.ends(0))
	if got["event"] != "request" || got["from"] != aliceKey || got["text"] != "hello Bob" || got["id"] != sent["id"] || got["forward_secrecy"] != true || got["identity"] != bobKey {
		t.Errorf("sent %v, got %v", sent, got)
	}
	if sent["taken"] != true || sent["forward_secrecy"] != true || sent["to"] != bobKey {
		t.Errorf("sent %v", sent)
	}
	if requests := bob.objects("contact", "list", "--requests"); len(requests) != 1 || requests[0]["contact"] != aliceKey || requests[0]["standing"] != "requested" {
		t.Errorf("requests: %v", requests)
	}
	if c := bob.object("contact", "accept", aliceKey[:8]); c["standing"] != "accepted" {
		t.Errorf("accepted: %v", c)
	}
	bob.fails(exitError, "shows who waits for an answer", "contact", "accept", aliceKey)

	l = alice.listens("--count=1")
	status, out, errors := commandOn(t, strings.NewReader("line one\nfake\x1b[2J\n"), bob.args("send", "--transport=memory", "--to="+aliceKey)...)
	if status != 0 || !strings.Contains(out, "has taken it") {
		t.Errorf("status %d: %s%s", status, out, errors)
	}
	printed := l.ends(0)
	if !regexp.MustCompile(`(?m)^message  [0-9a-f]{64} from ` + bobKey + `, \S+Z$\n    line one\n    fake\\x1b\[2J\n$`).MatchString(printed) {
		t.Errorf("printed:\n%s", printed)
	}

	// Blocked, unblocked, denied.
	if c := bob.object("contact", "block", aliceKey); c["blocked"] != true || c["standing"] != "accepted" {
		t.Errorf("blocked: %v", c)
	}
	bob.fails(exitError, "contact unblock lets it write again", "send", "--transport=memory", "--to="+aliceKey, "x")
	l = bob.listens("--json", "--all")
	alice.says(bobKey, "are you there?")
	soon(t, "the refusal", func() bool { return strings.Contains(l.out.String(), "refused") })
	l.interrupt()
	refused := objectsIn(t, l.ends(0))
	if i := slices.IndexFunc(refused, func(e map[string]any) bool { return e["event"] == "refused" }); i < 0 || refused[i]["contact"] != aliceKey || !strings.Contains(refused[i]["cause"].(string), "blocked") {
		t.Errorf("refused: %v", refused)
	}
	if strings.Contains(l.out.String(), "are you there") {
		t.Error("a message of a blocked contact was printed")
	}
	bob.does("contact", "unblock", aliceKey)
	if c := bob.object("contact", "deny", aliceKey); c["standing"] != "stranger" {
		t.Errorf("denied: %v", c)
	}
	if list := bob.objects("contact", "list"); len(list) != 0 {
		t.Errorf("contacts: %v", list)
	}
	bob.fails(exitError, "nothing is known of it", "contact", "show", aliceKey)
	bob.fails(exitError, "not found", "contact", "show", aliceKey[:8])
}

// What was printed is not printed again; what was not acknowledged, or came too late
// to be printed, is.
func TestListeningAcknowledgesWhatItHasPrinted(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	aliceKey, bobKey := alice.new(), bob.new()
	alice.does("contact", "add", bob.code())
	bob.does("contact", "add", aliceKey)
	l := bob.listens("--json", "--no-ack", "--count=3")
	for _, text := range []string{"1", "2", "3"} {
		alice.says(bobKey, text)
	}
	if got := textsIn(t, l.ends(0)); !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("got %v", got)
	}
	var got []string
	for range 3 {
		now := textsIn(t, bob.listens("--json", "--count=1").ends(0))
		if len(now) != 1 {
			t.Fatalf("got %v", now)
		}
		got = append(got, now...)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("got %v", got)
	}
	l = bob.listens("--json", "--count=1", "--for=50ms")
	if out := l.ends(exitBadResult); len(textsIn(t, out)) != 0 || !strings.Contains(l.said(), "0 of 1 messages") {
		t.Errorf("got %s%s", out, l.said())
	}
	l = bob.listens("--for=20ms")
	l.ends(0)
}

func TestListeningEndsWithASignal(t *testing.T) {
	p := newPerson(t)
	p.new()
	l := p.listens("--json")
	l.interrupt()
	if out := l.ends(0); out != "" {
		t.Errorf("printed %s", out)
	}
	says(t, 0, `not in order +0`, "store", "check", p.dir, "--key-file", p.key)
}

// Without --identity everybody of a store is listened for, with it nobody else's
// messages are touched.
func TestListeningIsForWhomIsSaid(t *testing.T) {
	p, q := newPerson(t), newPerson(t)
	first, second := p.new("--name=first"), p.new("--name=second")
	q.new()
	q.says(first, "to the first") // nobody hears it
	for _, name := range []string{"first", "second"} {
		q.does("contact", "add", p.code("--identity="+name))
	}
	l := p.listens("--identity=second", "--json", "--count=1")
	q.says(first, "to the first")
	q.says(second, "to the second")
	if got := one(t, l.ends(0)); got["text"] != "to the second" || got["identity"] != second {
		t.Errorf("got %v", got)
	}
	if got := one(t, p.listens("--json", "--count=1").ends(0)); got["text"] != "to the first" || got["identity"] != first {
		t.Errorf("got %v", got)
	}
}

// A device is found, approved, gets copies, and is disabled.
func TestDevicesAreApprovedByTheCommandLine(t *testing.T) {
	laptop, phone, bob := newPerson(t), newPerson(t), newPerson(t)
	path := filepath.Join(t.TempDir(), "phrase")
	key := laptop.new("--phrase-to=" + path)
	phone.does("identity", "import", "--phrase-file="+path)
	bobKey := bob.new()
	id := func(p person) string { return p.object("identity", "show")["installation"].(string) }
	laptopID, phoneID := id(laptop), id(phone)

	laptop.does("contact", "add", phone.code())
	phone.does("contact", "add", laptop.code())
	devices := laptop.objects("device", "list")
	if len(devices) != 2 || devices[0]["this"] != true || devices[0]["installation"] != laptopID || devices[1]["installation"] != phoneID || devices[1]["enabled"] != false || devices[1]["denied"] != false {
		t.Errorf("devices: %v", devices)
	}
	for _, c := range []struct {
		of    person
		other string
	}{{laptop, phoneID}, {phone, laptopID}} {
		if d := c.of.object("device", "approve", c.other[:7], "--transport=memory"); d["enabled"] != true || d["installation"] != c.other || d["identity"] != key {
			t.Errorf("approved: %v", d)
		}
	}
	laptop.does("contact", "add", bob.code())
	l := phone.listens("--json", "--count=1")
	laptop.says(bobKey, "a copy of this")
	got := one(t, l.ends(0))
	if got["event"] != "sent_elsewhere" || got["text"] != "a copy of this" || got["from"] != key || got["to"] != bobKey {
		t.Errorf("got %v", got)
	}
	bob.does("contact", "add", laptop.code())
	if devices := bob.objects("device", "list", "--contact="+key[:10]); len(devices) != 2 || devices[0]["identity"] != key {
		t.Errorf("bob sees %v", devices)
	}
	if d := bob.object("device", "disable", phoneID, "--contact="+key); d["enabled"] != false {
		t.Errorf("bob disables %v", d)
	}
	if d := laptop.object("device", "disable", phoneID); d["enabled"] != false || d["denied"] != true {
		t.Errorf("disabled: %v", d)
	}
	laptop.fails(exitError, "device list shows those that are known", "device", "approve", "nobody")
}

// A network that cannot be reached keeps nobody waiting for longer than he says, and
// the message is not lost.
func TestWhatTheNetworkHasNotTakenGoesOutLater(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bobKey := bob.new()
	alice.does("contact", "add", bob.code())
	nowhere := "--transport=wakurest:http://127.0.0.1:1"
	alice.fails(exitBadResult, "it goes out with the next command that has a network", "send", nowhere, "--wait=100ms", "--to="+bobKey, "first")
	if sent := alice.object("send", nowhere, "--no-wait", "--to="+bobKey, "second"); sent["taken"] != false {
		t.Errorf("sent %v", sent)
	}
	l := bob.listens("--json", "--count=3")
	alice.says(bobKey, "third")
	if got := textsIn(t, l.ends(0)); !slices.Equal(got, []string{"first", "second", "third"}) {
		t.Errorf("got %v", got)
	}
}

func TestPayloadsAreCheckedFirst(t *testing.T) {
	p := newPerson(t)
	to := "--to=" + strings.Repeat("02", 33)
	p.fails(exitError, "nothing to send", "send", "--transport=memory", to)
	p.failsOn(strings.NewReader(strings.Repeat("x", 1<<20+1)), exitError, "1 byte to 1 MiB", "send", "--transport=memory", to)
	p.fails(exitError, "--to", "send", "--transport=memory", "x")
}

// The names of the fields, and what kind of values they have, are what scripts rely
// on: a change is a change of the interface.
func TestJSONKeepsItsShape(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	const key, id, uuid, at = `0[23][0-9a-f]{64}`, `[0-9a-f]{64}`, `[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`, `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`
	check := func(name, out, want string) {
		t.Helper()
		want = strings.NewReplacer("KEY", key, "UUID", uuid, "ID", id, "AT", at, "LONG", `0x04[0-9a-f]{128}`, "NUMBER", `\d{5}( \d{5}){11}`, "CODE", `ROOKERY:1:[A-Z2-7]+`, "BOOL", `(true|false)`).Replace(want)
		if !regexp.MustCompile(`^` + want + `\n$`).MatchString(out) {
			t.Errorf("%s:\n%swant\n%s", name, out, want)
		}
	}
	check("create", alice.does("identity", "create", "--name=alice", "--json"), `{"identity":"KEY","installation":"UUID","name":"alice","retired":false}`)
	bobKey := bob.new()
	picture := filepath.Join(t.TempDir(), "bob.png")
	check("show", alice.does("identity", "show", "--json", "--with="+bobKey),
		`{"identity":"KEY","installation":"UUID","name":"alice","retired":false,"uncompressed":"LONG","devices":1,"contacts":0,"with":"KEY","safety_number":"NUMBER"}`)
	check("qr", bob.does("identity", "qr", "--json", "--png="+picture), `{"identity":"KEY","code":"CODE","png":"`+regexp.QuoteMeta(picture)+`"}`)
	check("add", alice.does("contact", "add", "--image="+picture, "--json"),
		`{"contact":"KEY","standing":"accepted","blocked":false,"forward_secrecy":false,"devices":1,"first_seen":"AT"}`)
	check("contact", alice.does("contact", "show", bobKey, "--json"),
		`{"contact":"KEY","standing":"accepted","blocked":false,"forward_secrecy":false,"devices":1,"first_seen":"AT","uncompressed":"LONG","safety_number":"NUMBER",`+
			`"installations":\[{"identity":"KEY","installation":"UUID","this":false,"enabled":true,"denied":false,"stale":false,"first_seen":"AT"}\]}`)
	check("device", alice.does("device", "list", "--json"), `{"identity":"KEY","installation":"UUID","this":true,"enabled":true,"denied":false,"stale":false}`)
	l := bob.listens("--json", "--count=2", "--all")
	check("send", alice.does("send", "--transport=memory", "--to="+bobKey, "<hello>", "--json"),
		`{"id":"ID","to":"KEY","installations":\["UUID"\],"forward_secrecy":true,"taken":true}`)
	status, _, errors := commandOn(t, strings.NewReader("\xff\x00"), alice.args("send", "--transport=memory", "--to="+bobKey)...)
	if status != 0 {
		t.Fatal(errors)
	}
	out := l.ends(0)
	for name, want := range map[string]string{
		"text":            `{"event":"request","identity":"KEY","id":"ID","from":"KEY","installation":"UUID","text":"<hello>","forward_secrecy":true,"received":"AT"}`,
		"bytes":           `{"event":"request","identity":"KEY","id":"ID","from":"KEY","installation":"UUID","payload":"` + base64.StdEncoding.EncodeToString([]byte("\xff\x00")) + `","forward_secrecy":true,"received":"AT"}`,
		"device":          `{"event":"device_discovered","identity":"KEY","contact":"KEY","installation":"UUID","enabled":true}`,
		"forward secrecy": `{"event":"forward_secrecy","identity":"KEY","contact":"KEY"}`,
		"session":         `{"event":"session","identity":"KEY","contact":"KEY","installation":"UUID","change":"established","cause":"first message of the peer"}`,
	} {
		var line string
		for one := range strings.Lines(out) {
			if strings.HasPrefix(one, want[:strings.Index(want, ",")]) && (name != "text" || strings.Contains(one, `"text"`)) && (name != "bytes" || strings.Contains(one, `"payload"`)) {
				line = one
			}
		}
		check(name, line, want)
	}
	check("delete", bob.does("identity", "delete", "--yes", "--json"), `{"identity":"KEY","installation":"UUID","name":"","deleted":true}`)
}

func TestTextsOfOthersDoNotControlTheTerminal(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"Zoë 名前 👋":               "Zoë 名前 👋",
		"\x1b[2J\a":              `\x1b[2J\a`,
		"a\u202eb":               `a\u202eb`,
		"\xff\xc3":               `\xff\xc3`,
		"two\nlines\ttab":        `two\nlines\ttab`,
		"it's \"fine\" \\ here":  "it's \"fine\" \\ here",
		"\u0085\u2028\U000e0001": `\u0085\u2028\U000e0001`,
	} {
		if got := plain(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// A result that cannot be written was not printed: it is not acknowledged.
func TestWhatCannotBeWrittenIsNotAcknowledged(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	alice.new()
	bobKey := bob.new()
	alice.does("contact", "add", bob.code())
	closed, err := os.CreateTemp(t.TempDir(), "closed")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	errors, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Close() }() // a test's own file
	status := make(chan int, 1)
	go func() {
		status <- run(bob.args("listen", "--transport=memory", "--json"), strings.NewReader(""), closed, errors)
	}()
	soon(t, "listening", func() bool {
		said, err := os.ReadFile(errors.Name())
		return err == nil && strings.Contains(string(said), "listening for")
	})
	alice.says(bobKey, "hello")
	select {
	case got := <-status:
		if got != exitError {
			t.Errorf("status %d", got)
		}
	case <-time.After(testPatience):
		t.Fatal("it goes on")
	}
	if got := one(t, bob.listens("--json", "--count=1").ends(0)); got["text"] != "hello" {
		t.Errorf("got %v", got)
	}
}
