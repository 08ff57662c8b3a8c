package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// dial opens a connection to a daemon, on which nothing waits for ever.
func (h *house) dial() net.Conn {
	h.t.Helper()
	connection := must(new(net.Dialer).DialContext(h.t.Context(), "tcp", strings.TrimPrefix(h.address, "http://")))(h.t)
	h.t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		h.t.Fatal(err)
	}
	return connection
}

// Who has no token cannot keep a connection: not by headers and bodies that do not come,
// nor by answers that he does not read.
func TestStrangerCannotKeepAConnection(t *testing.T) {
	h := newHouse(t, func(h *house) {
		h.options.HeaderTimeout, h.options.WriteTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	for name, sent := range map[string]string{
		"nothing":                  "",
		"half a line":              "GET /hea",
		"headers without end":      "GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n",
		"a body that is not there": "POST /rookery.api.v1.MessageService/Send HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"half a body":              "POST /rookery.api.v1.MessageService/Send HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello",
		"a body for nobody":        "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"a body for health":        "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"half a chunk":             "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
		"half a preface":           "PRI * HTTP/2.0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			connection := h.dial()
			if _, err := io.WriteString(connection, sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, connection); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still there")
			}
		})
	}
	t.Run("answers that are not read", func(t *testing.T) {
		connection := h.dial()
		requests := bytes.Repeat([]byte("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"), 100)
		for {
			_, err := connection.Write(requests)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection is still there")
			}
			if err != nil {
				return
			}
		}
	})
}

// A reader of HTTP/2 who stops reading the whole connection is cut off as well: the
// deadline of his stream alone would wait behind what cannot be written.
func TestReaderOfHTTP2WhoReadsNothingIsCutOff(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.WriteTimeout, h.options.MaxWaitingBytes = 200*time.Millisecond, 64<<20 })
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	connection := h.dial()
	if err := connection.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	fields := hpack.NewEncoder(&head)
	for _, field := range [][2]string{
		{":method", "GET"},
		{":scheme", "http"},
		{":authority", "x"},
		{":path", "/v1/events?identity=" + bob.key},
		{"authorization", "Bearer " + bob.token},
	} {
		if err := fields.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := io.WriteString(connection, http2.ClientPreface)
	frames := http2.NewFramer(connection, connection)
	err = errors.Join(
		err,
		frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}),
		frames.WriteWindowUpdate(0, 1<<30),
		frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true, EndStream: true}),
	)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream", func() bool { return h.daemon.streams.inUse() == 1 })
	long := strings.Repeat("x", 1<<20)
	for n := range 24 { // more than the system has room for
		alice.send(bob, long[:len(long)-n], "")
	}
	eventually(t, "the end of the stream", func() bool { return h.daemon.streams.inUse() == 0 })
}

// A caller who does not take his answers cannot hold up the end of the daemon, nor turn
// it into a failure.
func TestUnreadAnswersDoNotHoldUpTheEnd(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.RequestTimeout, h.options.WriteTimeout = 200*time.Millisecond, patience })
	connection := h.dial()
	if err := connection.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	requests := bytes.Repeat([]byte("GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n"), 100)
	var err error
	for err == nil { // until the daemon does not get rid of what it says
		_, err = connection.Write(requests)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	h.end() // without an error
}

// Odd requests get an answer of HTTP, or an end, and are never taken for two others.
func TestOddRequestsAreRefused(t *testing.T) {
	h := newHouse(t)
	alice := h.resident("alice")
	authorization := "Authorization: Bearer " + alice.token + "\r\n"
	const list = "POST /rookery.api.v1.IdentityService/ListIdentities HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
	for name, c := range map[string]struct{ request, want string }{
		"well formed":           {list + authorization + "Content-Length: 2\r\n\r\n{}", "200"},
		"two lengths":           {list + authorization + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", "400"},
		"length and chunks":     {list + authorization + "Content-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "200"},
		"chunks of old":         {list + authorization + "Transfer-Encoding: xchunked\r\n\r\n{}", "501"},
		"space before a colon":  {list + "Authorization : Bearer " + alice.token + "\r\nContent-Length: 2\r\n\r\n{}", "400"},
		"folded header":         {list + "X: a\r\n " + authorization + "Content-Length: 2\r\n\r\n{}", "401"},
		"token in the address":  {"GET /v1/events?identity=" + alice.key + "&token=" + alice.token + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "401"},
		"out of the folder":     {"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "307"},
		"out of it, encoded":    {"GET /v1/%2e%2e/tokens HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
		"another host":          {"GET http://169.254.169.254/latest HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
		"a tunnel":              {"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405"},
		"an echo":               {"TRACE /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405"},
		"preflight":             {"OPTIONS /v1/events HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n", "401"},
		"head of a stream":      {"HEAD /v1/events?identity=" + alice.key + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + authorization + "\r\n", "405"},
		"body for a stream":     {"POST /v1/events?identity=" + alice.key + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n" + authorization + "\r\n{}", "405"},
		"upgrade to HTTP/2":     {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "200"},
		"headers without bound": {"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + strings.Repeat("x", 32<<10) + "\r\n\r\n", "431"},
		"two tokens":            {list + "Authorization: Bearer x\r\n" + authorization + "Content-Length: 2\r\n\r\n{}", "401"},
	} {
		t.Run(name, func(t *testing.T) {
			connection := h.dial()
			if _, err := io.WriteString(connection, c.request); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(connection)
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 "+c.want)) {
				t.Errorf("got %.200q, %v", answer, err)
			}
			if n := bytes.Count(answer, []byte("HTTP/1.1 ")); n != 1 {
				t.Errorf("%d answers", n)
			}
		})
	}
	if strings.Contains(h.log.String(), alice.token) {
		t.Error("the token was logged")
	}
	eventually(t, "the end of all streams", func() bool { return h.daemon.streams.inUse() == 0 })
}

// What a proxy would say about the caller counts for nothing.
func TestHeadersOfProxiesAreNotBelieved(t *testing.T) {
	h := newHouse(t, func(h *house) { h.options.Rate, h.options.Burst = 0.001, 3 })
	alice := h.resident("alice")
	statuses := make(map[int]int)
	for n := range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		r := must(http.NewRequestWithContext(ctx, http.MethodPost, h.address+"/rookery.api.v1.IdentityService/ListIdentities", strings.NewReader("{}")))(t)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+alice.token)
		r.Header.Set("X-Forwarded-For", fmt.Sprint("192.0.2.", n))
		r.Header.Set("X-Original-Url", "/healthz")
		r.Header.Set("X-Http-Method-Override", "GET")
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		cancel()
		statuses[response.StatusCode]++
	}
	if statuses[http.StatusOK] != 3 || statuses[http.StatusTooManyRequests] != 3 {
		t.Errorf("statuses %v", statuses)
	}
}
