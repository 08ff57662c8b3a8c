package daemon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// However many places one token takes, another finds room.
func TestOneTokenLeavesRoomForOthers(t *testing.T) {
	h := newHouse(t, func(h *house) {
		h.options.MaxRequests, h.options.MaxStreams, h.options.MaxBodies = 4, 4, 100_000
	})
	alice, bob := h.resident("alice"), h.resident("bob")
	begin := func(length int) {
		_, err := fmt.Fprintf(h.dial(), "POST /rookery.api.v1.MessageService/Send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", alice.token, length)
		if err != nil {
			t.Fatal(err)
		}
	}
	const most = 3
	for n := range most {
		alice.listen("")
		begin(1000)
		eventually(t, "a request", func() bool { return h.daemon.requests.inUse() == n+1 })
	}
	if l, status, body := h.tryListen(alice.token, alice.key, ""); l != nil || status != http.StatusTooManyRequests {
		t.Errorf("a stream more: %d %s", status, body)
	}
	if status, body := h.ask(alice.token, "IdentityService/ListIdentities", object{}); status != http.StatusTooManyRequests || !strings.Contains(string(body), errBusy.Error()) {
		t.Errorf("a request more: %d %s", status, body)
	}
	bob.listen("")
	bob.call("IdentityService/GetIdentity", object{}, nil)
}

// Bodies that come slowly are counted by what they may become.
func TestBodiesThatAreUnderWayAreBounded(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.MaxBodies, h.options.MaxBody = 100_000, 90_000 })
	alice, bob := h.resident("alice"), h.resident("bob")
	_, err := fmt.Fprintf(h.dial(), "POST /rookery.api.v1.MessageService/Send HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{", alice.token)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a request", func() bool { return h.daemon.requests.inUse() == 1 })
	alice.call("IdentityService/GetIdentity", object{}, nil)
	long := strings.Repeat("x", 30_000)
	if status, _, err := h.post(alice.token, "IdentityService/ListIdentities", "application/json", []byte(`{"x":"`+strings.Repeat(long, 2)+`"}`)); err != nil || status != http.StatusTooManyRequests {
		t.Errorf("a body as long: %d, %v", status, err)
	}
	if status, _, err := h.post(bob.token, "IdentityService/ListIdentities", "application/json", []byte(`{"x":"`+long+`"}`)); err != nil || status != http.StatusBadRequest {
		t.Errorf("another's: %d, %v", status, err) // it has an unknown field, which is looked at
	}
}

func TestSharesAreGivenBack(t *testing.T) {
	s := newShares(8)
	var all []func()
	for release := s.take("a", 1); release != nil; release = s.take("a", 1) {
		all = append(all, release)
	}
	if len(all) != 6 || s.inUse() != 6 {
		t.Errorf("one alone gets %d of 8", len(all))
	}
	if s.take("b", 3) != nil || s.take("b", 2) == nil || s.take("c", 1) != nil {
		t.Error("another gets what is free, and nobody more")
	}
	for _, release := range all {
		release()
	}
	if s.inUse() != 2 || len(s.by) != 1 || s.take("c", 6) == nil {
		t.Errorf("%d are taken, by %d", s.inUse(), len(s.by))
	}
}
