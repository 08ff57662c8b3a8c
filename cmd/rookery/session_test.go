package main

import (
	"strings"
	"testing"
)

// explains gives what is said of a contact, its only device, and what comes next with it.
func (p person) explains(contact string) (whole, device map[string]any, next string) {
	p.t.Helper()
	whole = p.object("session", "explain", contact)
	devices := whole["devices"].([]any)
	if len(devices) != 1 {
		p.t.Fatalf("%d devices: %v", len(devices), whole)
	}
	device = devices[0].(map[string]any)
	return whole, device, device["next"].(string)
}

// How it stands with a contact is told at each step of a conversation, and telling it
// writes nothing.
func TestSessionsAreExplained(t *testing.T) {
	alice, bob := newPerson(t), newPerson(t)
	aliceKey, bobKey := alice.new(), bob.new()
	alice.fails(exitError, "not found", "session", "explain", bobKey[:10])
	if whole := alice.object("session", "explain", bobKey); whole["standing"] != "stranger" || !strings.Contains(whole["next"].([]any)[0].(string), "nothing is known") {
		t.Errorf("a stranger: %v", whole)
	}
	alice.fails(exitError, "rookery device", "session", "explain", aliceKey)

	alice.does("contact", "add", bob.code())
	before := bytesOf(t, alice.dir)
	_, device, next := alice.explains(bobKey[:10])
	if !strings.Contains(next, "starts a session") || device["prekey"].(map[string]any)["version"] != 1.0 || len(device["sessions"].([]any)) != 0 {
		t.Errorf("before the first message: %v", device)
	}
	if bytesOf(t, alice.dir) != before {
		t.Error("a file has changed")
	}

	l := bob.listens("--json", "--count=1", "--no-ack")
	alice.says(bobKey, "hello")
	l.ends(0)
	_, device, next = alice.explains(bobKey)
	session := device["sessions"].([]any)[0].(map[string]any)
	if !strings.Contains(next, "has not answered") || session["state"] != "initiated" || session["in_use"] != true || session["started_by_us"] != true {
		t.Errorf("after the first message: %v", device)
	}
	whole, device, next := bob.explains(aliceKey)
	session = device["sessions"].([]any)[0].(map[string]any)
	if whole["standing"] != "requested" || whole["unacknowledged"] != 1.0 || !strings.Contains(next, "both ways") || session["state"] != "established" || session["started_by_us"] != false {
		t.Errorf("the request: %v", whole)
	}
	said := strings.Join(strings.Fields(bob.does("session", "explain", aliceKey)), " ")
	for _, words := range []string{"standing requested", "not acknowledged 1", "waits for an answer", "shown by the next rookery listen", "established, in use, started by it"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q: %s", words, said)
		}
	}

	alice.does("device", "disable", "--contact="+bobKey, device0(t, alice, bobKey))
	if _, _, next := alice.explains(bobKey); !strings.Contains(next, "until it is approved") {
		t.Errorf("disabled: %s", next)
	}
	alice.does("contact", "block", bobKey)
	if whole, _, _ := alice.explains(bobKey); !strings.Contains(whole["next"].([]any)[0].(string), "blocked") {
		t.Errorf("blocked: %v", whole)
	}
}

// device0 is the only device of a contact.
func device0(t *testing.T, p person, contact string) string {
	t.Helper()
	_, device, _ := p.explains(contact)
	return device["installation"].(string)
}
