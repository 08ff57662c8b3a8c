package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rookery-im/rookery/internal/daemon/token"
)

func TestBadRequestsAreRefusedWithACode(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxBody = 64 << 10 })
	alice, bob := h.resident("alice"), h.resident("bob")
	const send = "MessageService/Send"
	good := object{"identity": alice.key, "to": bob.key, "payload": []byte("x")}
	with := func(name string, value any) object {
		changed := object{}
		for k, v := range good {
			changed[k] = v
		}
		changed[name] = value
		return changed
	}
	encoded := func(request object) []byte { return must(json.Marshal(request))(t) }
	for _, c := range []struct {
		name, method, contentType string
		body                      []byte
		status                    int
		code                      string
	}{
		{"a body that is too large", send, "application/json", encoded(with("payload", make([]byte, 65<<10))), 429, "resource_exhausted"},
		{"no payload", send, "application/json", encoded(with("payload", []byte{})), 400, "invalid_argument"},
		{"no JSON", send, "application/json", []byte("hello"), 400, "invalid_argument"},
		{"half of it", send, "application/json", encoded(good)[:40], 400, "invalid_argument"},
		{"another type", send, "application/json", []byte(`{"identity":1}`), 400, "invalid_argument"},
		{"no base64", send, "application/json", encoded(with("payload", "?")), 400, "invalid_argument"},
		{"an unknown field", send, "application/json", encoded(with("payloads", []byte("x"))), 400, "invalid_argument"},
		{"an unknown field, in another spelling of JSON", send, "application/json; charset=utf-8", encoded(with("payloads", []byte("x"))), 400, "invalid_argument"},
		{"no protobuf", send, "application/proto", []byte("\xff\xff\xff"), 400, "invalid_argument"},
		{"no recipient", send, "application/json", encoded(with("to", "")), 400, "invalid_argument"},
		{"a recipient off the curve", send, "application/json", encoded(with("to", "02"+strings.Repeat("ff", 32))), 400, "invalid_argument"},
		{"a key that is too long", send, "application/json", encoded(with("idempotencyKey", strings.Repeat("k", 256))), 400, "invalid_argument"},
		{"an unknown form", send, "text/plain", []byte("x"), 415, ""},
		{"an unknown method", "MessageService/Sent", "application/json", []byte("{}"), 404, ""},
		{"too many acknowledgements", "EventService/AckEvents", "application/json", encoded(object{"identity": alice.key, "ids": make([]string, 1001)}), 400, "invalid_argument"},
		{"too many members", "MessageService/SendGroup", "application/json", encoded(object{"identity": alice.key, "members": make([]string, 1001)}), 400, "invalid_argument"},
		{"no message id", "MessageService/AwaitTaken", "application/json", encoded(object{"identity": alice.key, "to": bob.key, "messageId": "x"}), 400, "invalid_argument"},
		{"nobody to add", "ContactService/AddContact", "application/json", encoded(object{"identity": alice.key}), 400, "invalid_argument"},
		{"a code that is none", "ContactService/AddContact", "application/json", encoded(object{"identity": alice.key, "contactCode": "ROOKERY:1:AAAA"}), 400, "invalid_argument"},
		{"itself", "ContactService/AddContact", "application/json", encoded(object{"identity": alice.key, "publicKey": alice.key}), 400, "invalid_argument"},
		{"a contact of whom nothing is known", "ContactService/GetContact", "application/json", encoded(object{"identity": alice.key, "contact": bob.key}), 404, "not_found"},
		{"no request", "ContactService/AcceptContact", "application/json", encoded(object{"identity": alice.key, "contact": bob.key}), 400, "failed_precondition"},
		{"an unknown device", "ContactService/ApproveDevice", "application/json", encoded(object{"identity": alice.key, "contact": bob.key, "installation": "x"}), 404, "not_found"},
		{"a page that is too large", "ContactService/ListContacts", "application/json", encoded(object{"identity": alice.key, "pageSize": 1001}), 400, "invalid_argument"},
		{"a page token that is none", "ContactService/ListContacts", "application/json", encoded(object{"identity": alice.key, "pageToken": "x"}), 400, "invalid_argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, err := h.post(alice.token, c.method, c.contentType, c.body)
			var f failure
			if err != nil || status != c.status || c.code != "" && (json.Unmarshal(body, &f) != nil || f.Code != c.code) {
				t.Errorf("got %d %s, %v; want %d %s", status, body, err, c.status, c.code)
			}
		})
	}
	for _, c := range []object{{"phrase": "not one"}, {"privateKey": []byte("short")}, {"name": " x"}, {"phrase": "a", "privateKey": make([]byte, 32)}} {
		h.refused("invalid_argument", h.admin, "IdentityService/CreateIdentity", c)
	}
	if got := len(h.hosting.Identities()); got != 2 {
		t.Errorf("%d identities are hosted", got)
	}
	if log := h.log.String(); strings.Contains(log, "not one") {
		t.Error("a phrase was logged")
	}
}

// Who asks too often is told when to ask again; nobody else is held up.
func TestRateIsForEachToken(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.Rate, h.options.Burst = 0.001, 5 })
	alice := h.resident("alice")
	for range 5 {
		alice.call("IdentityService/GetIdentity", object{}, nil)
	}
	h.refused("resource_exhausted", alice.token, "IdentityService/GetIdentity", object{"identity": alice.key})
	h.call(h.token(token.Token{Identity: alice.key}), "IdentityService/GetIdentity", object{"identity": alice.key}, nil)
}

func TestStreamsAreCountedAndRefusedOverTheirNumber(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxStreams = 2 })
	alice := h.resident("alice")
	first := alice.listen("")
	alice.listen("")
	if l, status, body := h.tryListen(alice.token, alice.key, ""); l != nil || status != http.StatusTooManyRequests {
		t.Errorf("a third stream: %d %s", status, body)
	}
	first.close() // an abandoned one makes room
	eventually(t, "room", func() bool { return h.daemon.streams.inUse() == 1 })
	alice.listen("")
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// Who does not read is cut off, and has cost no memory but what waits for everybody.
func TestReaderThatDoesNotReadIsCutOff(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.WriteTimeout, h.options.MaxWaitingBytes = 200*time.Millisecond, 64<<20 })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(connection, "GET /v1/events?identity=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", bob.key, bob.token); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream", func() bool { return h.daemon.streams.inUse() == 1 })
	long := strings.Repeat("x", 1<<20)
	for n := range 24 { // more than the system has room for
		alice.send(bob, long[:len(long)-n], "")
	}
	eventually(t, "the end of the stream", func() bool { return h.daemon.streams.inUse() == 0 })
	eventually(t, "a line about it", func() bool { return strings.Contains(h.log.String(), errReader.Error()) })
	h.options.WriteTimeout = patience // of this one, who may be slow
	h.restart()
	sizes := make(map[int]bool)
	events := bob.listen("") // nothing is lost
	for range 24 {
		sizes[len(events.message().text())] = true
	}
	if len(sizes) != 24 || !sizes[len(long)] || !sizes[len(long)-23] {
		t.Errorf("got %d of 24", len(sizes))
	}
}

// A thousand consumers on a connection each get an event all.
func TestThousandConnections(t *testing.T) {
	const many = 1000
	h := newHouse(t, func(h *house) { h.options.MaxStreams = 2 * many })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	all := make([]*listening, many)
	for n := range all {
		all[n] = bob.listen("")
	}
	alice.send(bob, "to all", "")
	var got sync.WaitGroup
	for _, l := range all {
		got.Go(func() {
			for {
				e, err := l.next()
				if err != nil {
					t.Error(err)
					return
				}
				if e.message() {
					return
				}
			}
		})
	}
	got.Wait()
	for _, l := range all {
		l.close()
	}
	eventually(t, "the end of all streams", func() bool { return h.daemon.streams.inUse() == 0 })
}

// The connections over the bound wait until there is room.
func TestConnectionsOverTheirNumberWait(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxConnections = 3 })
	alice := h.resident("alice")
	var held []*listening
	for range 3 {
		held = append(held, alice.listen(""))
	}
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(h.address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := io.WriteString(connection, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(connection).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		t.Fatalf("answered beside three others: %q", line)
	case <-time.After(50 * time.Millisecond):
	}
	held[0].close()
	if line := <-answer; !strings.Contains(line, "200") {
		t.Errorf("got %q", line)
	}
}

func TestRequestIDsAreTakenIfWellFormed(t *testing.T) {
	h := newHouse(t)
	for given, taken := range map[string]bool{"abc-1.2_X": true, "": false, "a b": false, strings.Repeat("x", 65): false, "a\"b": false} {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, h.address+"/healthz", bytes.NewReader(nil)))(t)
		r.Header.Set("X-Request-Id", given)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		got := response.Header.Get("X-Request-Id")
		if (got == given) != taken || got == "" || !requestID.MatchString(got) {
			t.Errorf("%q became %q", given, got)
		}
		eventually(t, "a line with the id", func() bool { return strings.Contains(h.log.String(), "request_id="+got) })
	}
}
