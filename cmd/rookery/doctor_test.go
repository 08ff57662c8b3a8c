package main

import (
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

var rewriteGolden = flag.Bool("golden.rewrite", false, "write testdata/*.golden instead of comparing them")

// doctored runs the doctor and gives status, text and findings.
func (p person) doctored(args ...string) (status int, text string, found []diagnosis) {
	p.t.Helper()
	status, text, _ = command(p.t, p.args(append([]string{"doctor"}, args...)...)...)
	again, out, errors := command(p.t, p.args(append([]string{"doctor", "--json"}, args...)...)...)
	var result doctorResult
	if err := json.Unmarshal([]byte(out), &result); err != nil || again != status {
		p.t.Fatalf("status %d and %d: %v: %s%s", status, again, err, out, errors)
	}
	for _, d := range result.Findings {
		if d.About != "disk" && !strings.Contains(text, d.What) || !strings.Contains(text, d.Do) || !strings.Contains(text, d.Next) {
			p.t.Errorf("the text has not what JSON has: %+v\n%s", d, text)
		}
	}
	return status, text, result.Findings
}

// finds fails unless something is said of a kind.
func finds(t *testing.T, found []diagnosis, want severity, about, what string) {
	t.Helper()
	for _, d := range found {
		if d.Severity == want && d.About == about && strings.Contains(d.What, what) {
			if rank[want] >= rank[warning] && d.Do == "" {
				t.Errorf("nothing to do about %+v", d)
			}
			return
		}
	}
	t.Errorf("no %s about %s with %q: %+v", want, about, what, found)
}

// golden compares a text, keys, sizes and times aside.
func golden(t *testing.T, name, text string, replace ...string) {
	t.Helper()
	text = strings.NewReplacer(replace...).Replace(text)
	for _, r := range [][2]string{
		{`0[23][0-9a-f]{64}`, "KEY"},
		{`\b0[23][0-9a-f]{6}\b`, "KEY...."},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "INSTALLATION"},
		{`\b(\d+h)?(\d+m)?\d+s ago`, "TIME ago"},
		{`\d+ (MiB are free|KiB on disk|commits|epochs|records)`, "N $1"},
	} {
		text = regexp.MustCompile(r[0]).ReplaceAllString(text, r[1])
	}
	path := filepath.Join("testdata", name+".golden")
	if *rewriteGolden {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("not what %s has (go test ./cmd/rookery -run %s -golden.rewrite):\n%s", path, t.Name(), text)
	}
}

// What works has no warning; the doctor writes nothing.
func TestDoctorHasNothingAgainstWhatWorks(t *testing.T) {
	p := newPerson(t)
	p.new()
	before := bytesOf(t, p.dir)
	status, text, _ := p.doctored()
	if status != 0 {
		t.Errorf("status %d: %s", status, text)
	}
	golden(t, "doctor_fine", text, p.dir, "DIR")
	if bytesOf(t, p.dir) != before {
		t.Error("a file has changed")
	}
}

// What is wrong with people is said, each with what to do and what happens next.
func TestDoctorSaysWhatIsWrongWithPeople(t *testing.T) {
	alice, bob, carol, dave := newPerson(t), newPerson(t), newPerson(t), newPerson(t)
	alice.new()
	alice.does("contact", "add", bob.new()) // and no more than the key
	daveKey, carolKey := dave.new(), carol.new()
	alice.does("contact", "add", carol.code())
	alice.does("contact", "add", dave.code())
	alice.does("device", "disable", "--contact="+carolKey, device0(t, alice, carolKey))
	l := dave.listens("--json", "--count=1", "--no-ack")
	alice.says(daveKey, "hello")
	l.ends(0)

	status, text, found := alice.doctored("--transport=memory")
	if status != exitBadResult {
		t.Errorf("status %d", status)
	}
	finds(t, found, warning, "contacts", "1 without a device that is known")
	finds(t, found, warning, "contacts", "1 without a device that can be written to")
	finds(t, found, warning, "network", "memory is inside of one process")
	golden(t, "doctor_people", text, alice.dir, "DIR")

	_, _, found = dave.doctored()
	finds(t, found, note, "contacts", "1 wait for an answer")
	finds(t, found, note, "inbox", "1 messages are not acknowledged")
}

// What hides the store is an error, with a status of its own.
func TestDoctorSaysWhatHidesTheStore(t *testing.T) {
	p := newPerson(t)
	if status, _, found := p.doctored(); status != exitError {
		t.Errorf("no store: status %d", status)
	} else {
		finds(t, found, failure, "directory", "there is no store")
	}
	p.new()

	other := newPerson(t)
	other.new()
	wrong := person{t, p.dir, other.key}
	if status, _, found := wrong.doctored(); status != exitError {
		t.Errorf("another key: status %d", status)
	} else {
		finds(t, found, failure, "store", "key")
	}

	if err := os.Chmod(filepath.Join(p.dir, "keyring"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, found := p.doctored(); status != exitError {
		t.Errorf("others can read: status %d", status)
	} else {
		finds(t, found, failure, "directory", "can be read or changed by others")
	}
	if err := os.Chmod(filepath.Join(p.dir, "keyring"), 0o600); err != nil {
		t.Fatal(err)
	}

	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(p.dir, "keyring"), later, later); err != nil {
		t.Fatal(err)
	}
	status, _, found := p.doctored()
	if status != exitBadResult {
		t.Errorf("a clock that has gone back: status %d", status)
	}
	finds(t, found, warning, "clock", "behind what was written before")

	l := p.listens()
	_, _, found = p.doctored()
	finds(t, found, warning, "lock", "a running process has the store open")
	l.interrupt()
	l.ends(0)
}

// Records that cannot be read are an error, and a key file beside its lock a warning.
func TestDoctorSaysWhatIsWrongWithTheStore(t *testing.T) {
	dir, key := lived(t)
	store := opened(t, dir, key)
	records := all(t, store)
	broken := records[len(records)-1]
	broken.Value = []byte("\xff\xff\xff")
	change(t, store, broken)
	closed(t, store)
	inside := filepath.Join(dir, "key")
	if err := os.Rename(key, inside); err != nil {
		t.Fatal(err)
	}
	p := person{t, dir, inside}
	status, _, found := p.doctored()
	if status != exitError {
		t.Errorf("status %d", status)
	}
	finds(t, found, failure, "store", "1 of 50 records cannot be read")
	finds(t, found, warning, "key", "lies in the directory")
}

// A network that is not there is an error after the time it was given.
func TestDoctorSaysThatTheNetworkIsAway(t *testing.T) {
	p := newPerson(t)
	p.new()
	closed, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"wakurest:http://" + address, "nats://" + address} {
		status, _, found := p.doctored("--wait=1s", "--transport="+transport)
		if status != exitError {
			t.Errorf("%s: status %d", transport, status)
		}
		finds(t, found, failure, "network", "")
	}
	status, _, found := p.doctored("--transport=pigeons")
	if status != exitError {
		t.Errorf("pigeons: status %d", status)
	}
	finds(t, found, failure, "network", "transport")
}

// A network that is there is said to be.
func TestDoctorSaysThatTheNetworkIsThere(t *testing.T) {
	p := newPerson(t)
	p.new()
	server, err := embedded.Start(embedded.Options{Dir: t.TempDir(), Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	_, _, found := p.doctored("--transport=" + server.URL() + ",create=true")
	finds(t, found, fine, "network", "nats is there")
}
