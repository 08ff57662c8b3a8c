package daemon

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"filippo.io/age"

	"github.com/rookery-im/rookery/internal/daemon/token"
	apiv1 "github.com/rookery-im/rookery/proto/api/v1"
)

// zeros are without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func packed(t *testing.T, content io.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := io.Copy(w, content)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A small request that unpacks to a large one costs no more than what it may have.
func TestPackedRequestIsUnpackedUpToTheBound(t *testing.T) {
	const most = 64 << 10
	bomb := packed(t, io.LimitReader(zeros{}, 64<<20))
	unpacking := &unpacking{most: most}
	for range 2 { // it is used again
		if err := unpacking.Reset(bytes.NewReader(bomb)); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, unpacking)
		if !errors.Is(err, errBody) || n > most+32<<10 {
			t.Errorf("%d bytes, %v", n, err)
		}
	}
	h := newHouse(t, func(h *house) { h.options.MaxBody = most })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	send := func(body []byte) (int, string) {
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, h.address+apiv1.MessageServiceSendProcedure, bytes.NewReader(body)))(t)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Content-Encoding", "gzip")
		r.Header.Set("Authorization", "Bearer "+alice.token)
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		return response.StatusCode, string(must(io.ReadAll(response.Body))(t))
	}
	good := must(json.Marshal(object{"identity": alice.key, "to": bob.key, "payload": bytes.Repeat([]byte("x"), most/2)}))(t)
	if status, answer := send(packed(t, bytes.NewReader(good))); status != http.StatusOK {
		t.Errorf("a request that was packed: %d %s", status, answer)
	}
	if status, answer := send(bomb); status != http.StatusTooManyRequests || !strings.Contains(answer, "resource_exhausted") {
		t.Errorf("got %d %s", status, answer)
	}
	if status, answer := send([]byte("\x1f\x8b\x08garbage")); status != http.StatusBadRequest {
		t.Errorf("garbage: %d %s", status, answer)
	}
}

// A panic is one answer, which tells nothing; the log has the rest, and nobody else
// notices.
func TestPanicCostsOneRequest(t *testing.T) {
	h := newHouse(t)
	logged := func(serve http.HandlerFunc) (status int, body string, cut bool) {
		defer func() { cut = recover() == http.ErrAbortHandler }() //nolint:errorlint // as net/http has it
		w := &recorded{}
		w.ResponseRecorder = httptest.NewRecorder()
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, apiv1.MessageServiceSendProcedure, nil))(t)
		r.Header.Set("Content-Type", "application/json")
		defer func() { status, body = w.Code, w.Body.String() }()
		h.daemon.logged(serve).ServeHTTP(w, r)
		return 0, "", false
	}
	status, body, cut := logged(func(http.ResponseWriter, *http.Request) { panic("nobody saw it coming") })
	if status != http.StatusInternalServerError || cut || !strings.Contains(body, errInternal.Error()) || strings.Contains(body, "coming") {
		t.Errorf("got %d %s, cut off: %v", status, body, cut)
	}
	_, _, cut = logged(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("nor that")
	})
	if !cut {
		t.Error("an answer that had begun ended as if it were whole")
	}
	log := h.log.String()
	for _, line := range []string{"nobody saw it coming", "nor that", "attack_contents_test.go", "status=500"} {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not have %q", line)
		}
	}
}

// Whatever a request has in it, its answer is one of HTTP.
func TestContentsThatAreMeantToHurtAreRefused(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	const send, ack, list = "MessageService/Send", "EventService/AckEvents", "IdentityService/ListIdentities"
	named := `"identity":"` + alice.key + `"`
	for name, c := range map[string]struct{ method, contentType, body string }{
		"deep arrays":          {ack, "application/json", `{` + named + `,"ids":` + strings.Repeat("[", 1<<20)},
		"deep objects":         {send, "application/json", strings.Repeat(`{"a":`, 200_000)},
		"a field twice":        {send, "application/json", `{` + named + `,` + named + `}`},
		"both names of one":    {send, "application/json", `{` + named + `,"to":"` + bob.key + `","payload":"eA==","idempotencyKey":"a","idempotency_key":"b"}`},
		"two of one":           {"ContactService/AddContact", "application/json", `{` + named + `,"publicKey":"x","contactCode":"y"}`},
		"two requests":         {list, "application/json", `{}{}`},
		"no UTF-8":             {ack, "application/json", `{` + named + `,"ids":["` + "\xff\xfe" + `"]}`},
		"half a surrogate":     {ack, "application/json", `{` + named + `,"ids":["\ud800"]}`},
		"no UTF-8 in protobuf": {send, "application/proto", "\x0a\x02\xff\xfe"},
		"a length too long":    {send, "application/proto", "\x1a\xff\xff\xff\xff\x0f"},
		"a large number":       {"ContactService/ListContacts", "application/json", `{` + named + `,"pageSize":99999999999}`},
		"a negative number":    {"ContactService/ListContacts", "application/json", `{` + named + `,"pageSize":-1}`},
		"infinite":             {"ContactService/ListContacts", "application/json", `{` + named + `,"pageSize":1e999}`},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer, err := h.post(alice.token, c.method, c.contentType, []byte(c.body))
			if err != nil || status != http.StatusBadRequest {
				t.Errorf("got %d %.300s, %v", status, answer, err)
			}
		})
	}
	for _, cursor := range []string{strings.Repeat("0", 8<<10), "0000000000000000.18446744073709551616.0", "0000000000000000.-1.0", "%n%s%d", "a.1.1\tb"} {
		if l, status, body := h.tryListen(alice.token, alice.key, cursor); l != nil || status != http.StatusBadRequest {
			t.Errorf("cursor %.40q: %d %s", cursor, status, body)
		}
	}
	far := h.daemon.feeds.run + ".18446744073709551615.18446744073709551615"
	alice.listen(far).close() // counts as none
}

// A cursor or an id that somebody else was given shows and takes nothing of his.
func TestPlacesAndIDsOfOthersAreWorthNothing(t *testing.T) {
	h := newHouse(t)
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	carol.knows(alice)
	alice.send(bob, "for bob", "")
	carol.send(alice, "for alice", "")
	events := bob.listen("")
	e := events.message()
	mine := alice.listen("").message()
	if n := alice.ack(e.ID, e.ID, "m-", strings.Repeat("x", 1<<10)); n != 0 {
		t.Errorf("%d of another's events acknowledged", n)
	}
	if other := alice.listen(e.Cursor); other != nil {
		other.close() // a place among her own events
	}
	if again := bob.listen("").message(); again.ID != e.ID {
		t.Errorf("got %+v", again)
	}
	if n := bob.ack(e.ID, e.ID, mine.ID); n != 1 {
		t.Errorf("%d of one event acknowledged", n)
	}
	if n := bob.ack(e.ID); n != 0 {
		t.Errorf("%d acknowledged twice", n)
	}
	h.restart() // what was acknowledged stays so, what was not comes
	if again := alice.listen("").message(); again.ID != mine.ID {
		t.Errorf("got %+v", again)
	}
	alice.send(bob, "second", "")
	if next := bob.listen("").message(); next.text() != "second" {
		t.Errorf("after the restart %q", next.text())
	}
}

// Two payloads that race under one key become one message; the same key of another
// identity, and to another contact, is another one.
func TestRaceUnderOneKeySendsOneOfTwoPayloads(t *testing.T) {
	h := newHouse(t)
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	alice.knows(carol)
	carol.knows(bob)
	var mu sync.Mutex
	receipts, refused := make(map[string]int), 0
	var racing sync.WaitGroup
	for n := range 32 {
		racing.Go(func() {
			body, _ := json.Marshal(object{"identity": alice.key, "to": bob.key, "payload": fmt.Appendf(nil, "payload %d", n%2), "idempotencyKey": "k"})
			status, answer, err := h.post(alice.token, "MessageService/Send", "application/json", body)
			var sent struct{ Receipt receipt }
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
			case status == http.StatusConflict:
				refused++
			case status != http.StatusOK || json.Unmarshal(answer, &sent) != nil:
				t.Errorf("%d %s", status, answer)
			default:
				receipts[sent.Receipt.MessageID]++
			}
		})
	}
	racing.Wait()
	if len(receipts) != 1 || refused != 16 {
		t.Errorf("receipts %v, %d refused", receipts, refused)
	}
	hers := carol.send(bob, "payload 0", "k").MessageID
	other := alice.send(carol, "payload 0", "k").MessageID
	if receipts[hers]+receipts[other] > 0 || hers == other {
		t.Error("one key of two was taken for the same")
	}
	events := bob.listen("")
	if one, two := events.message(), events.message(); one.Contact == two.Contact || one.ID == two.ID {
		t.Errorf("got %+v and %+v", one, two)
	}
}

// On a full disk nothing that changes anything says that it has, and nothing has changed.
func TestFullDiskIsNoSuccessOfAnything(t *testing.T) {
	var store lasting
	h := newHouse(t, func(h *house) { store = inMemory(h) })
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	carol.knows(alice)
	carol.send(alice, "a request", "")
	request := alice.listen("").message()
	device := h.installation(bob)
	contacts := func() string {
		_, answer := h.ask(alice.token, "ContactService/ListContacts", object{"identity": alice.key})
		return string(answer)
	}
	before := contacts()
	store.full.Store(true)
	for method, body := range map[string]object{
		"MessageService/Send":          {"to": bob.key, "payload": []byte("x")},
		"ContactService/AddContact":    {"publicKey": carol.key},
		"ContactService/AcceptContact": {"contact": carol.key},
		"ContactService/BlockContact":  {"contact": bob.key},
		"ContactService/ForgetContact": {"contact": bob.key},
		"ContactService/DenyDevice":    {"contact": bob.key, "installation": device},
	} {
		body["identity"] = alice.key
		h.refused("unavailable", alice.token, method, body)
	}
	h.refused("unavailable", h.admin, "IdentityService/CreateIdentity", object{"name": "dave"})
	h.refused("unavailable", h.admin, "IdentityService/DeleteIdentity", object{"identity": bob.key, "installation": device})
	var group struct{ Results []struct{ Code string } }
	alice.call("MessageService/SendGroup", object{"members": []string{bob.key}, "payload": []byte("x")}, &group)
	if len(group.Results) != 1 || group.Results[0].Code != "unavailable" {
		t.Errorf("got %+v", group)
	}
	if n := alice.ack(request.ID); n != 1 { // it counts, and is on the disk when there is room
		t.Errorf("%d acknowledged", n)
	}
	store.full.Store(false)
	if after := contacts(); after != before {
		t.Errorf("contacts were %s, are %s", before, after)
	}
	h.restart()
	if n := len(h.hosting.Identities()); n != 3 {
		t.Errorf("%d identities", n)
	}
}

// Open streams look at the scope of their token, too: a file that was replaced by one
// for something else ends them, and a clock that goes back does not.
func TestStreamEndsWhenItsTokenIsForSomethingElse(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	made, text, err := h.tokens.Create(token.Token{Identity: alice.key, Expires: time.Now().Add(time.Hour)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.tokens.Still(made, time.Now().Add(-1000*time.Hour)); err != nil {
		t.Errorf("before it was made: %v", err)
	}
	if _, err := h.tokens.Check(text, time.Now().Add(2*time.Hour)); !errors.Is(err, token.ErrExpired) {
		t.Errorf("after a jump of the clock: %v", err)
	}
	for _, other := range []token.Token{{ID: made.ID, Identity: bob.key}, {ID: made.ID, Admin: true}} {
		if err := h.tokens.Still(other, time.Now()); !errors.Is(err, token.ErrUnknown) {
			t.Errorf("of what it is not for: %v", err)
		}
	}
}

// Backups that nobody reads to the end leave nothing behind.
func TestAbandonedBackupEnds(t *testing.T) {
	h := newHouse(t)
	h.resident("alice")
	recipient := must(age.GenerateX25519Identity())(t).Recipient().String()
	transport := &http.Transport{DisableKeepAlives: true}
	client := apiv1.NewDaemonServiceClient(&http.Client{Transport: transport}, h.address)
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		ctx, info := connect.NewClientContext(ctx)
		info.RequestHeader().Set("Authorization", "Bearer "+h.admin)
		stream := must(client.Backup(ctx, &apiv1.BackupRequest{Recipients: []string{recipient}}))(t)
		stream.Receive()
		cancel()
		_ = stream.Close() // it was cut off
	}
	eventually(t, "the end of all", func() bool { return h.daemon.streams.inUse() == 0 })
	h.resident("bob") // the store goes on
}
