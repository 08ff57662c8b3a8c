package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/goleak"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/memory"
)

// patience is how long anything may take before a test gives up on it.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv(childOf); dir != "" {
		fmt.Fprintln(os.Stderr, serveAsChild(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// house is a daemon with its engine on a store that outlives it.
type house struct {
	t       testing.TB
	dir     string
	network transport.Transport
	options Options
	engine  func(*rookery.Options)
	log     *logBook
	leaks   *leakscan.Scanner // of the log

	certificate *tls.Certificate
	quiet       bool
	address     string
	tokens      token.Folder
	admin       string
	daemon      *Daemon
	hosting     *rookery.Engine
	stop        context.CancelFunc
	served      chan error
}

// logBook keeps what is logged.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// newHouse starts a daemon; it is stopped with the test.
func newHouse(t testing.TB, configure ...func(*house)) *house {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	h := &house{t: t, dir: dir, tokens: token.Of(dir), log: new(logBook), leaks: leakscan.Watch(t), engine: func(*rookery.Options) {}}
	for _, c := range configure {
		c(h)
	}
	if h.network == nil {
		h.network = memory.New(1, memory.Faults{})
	}
	h.start()
	t.Cleanup(func() {
		if h.stop != nil {
			h.end()
		}
	})
	h.admin = h.token(token.Token{Admin: true})
	return h
}

func (h *house) start() {
	h.t.Helper()
	options := h.options
	options.Tokens, options.Logger = h.tokens, h.leaks.Logger(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	options.Console = true
	if h.quiet {
		options.Logger = nil
	}
	h.daemon = New(options)
	with := rookery.Options{Dir: h.dir, Unlock: rookery.KeyFile(h.dir + ".key"), Transport: h.network, Handler: h.daemon.Handle, Requests: rookery.Ask, Logger: options.Logger, Random: h.leaks.Random(rand.Reader)}
	with.MeterProvider = sdk.NewMeterProvider(sdk.WithReader(h.daemon.Reader()))
	h.engine(&with)
	engine, err := rookery.Open(context.Background(), with)
	if err != nil {
		h.t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		h.t.Fatal(err)
	}
	h.hosting, h.address = engine, "http://"+listener.Addr().String()
	if h.certificate != nil {
		h.address = "https://" + listener.Addr().String()
	}
	ctx, stop := context.WithCancel(context.Background())
	h.stop, h.served = stop, make(chan error, 1)
	go func() { h.served <- h.daemon.Serve(ctx, engine, listener, h.certificate) }()
}

// end stops daemon and engine, in order.
func (h *house) end() {
	h.t.Helper()
	h.stop()
	h.stop = nil
	if err := <-h.served; err != nil {
		h.t.Error(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.hosting.Close(ctx); err != nil {
		h.t.Error(err)
	}
}

func (h *house) restart() {
	h.t.Helper()
	h.end()
	h.start()
}

func (h *house) token(of token.Token) string {
	h.t.Helper()
	_, text, err := h.tokens.Create(of, time.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	h.leaks.Text([]byte(text))
	return text
}

// resident is an identity with a token of its own.
type resident struct {
	h     *house
	key   string
	token string
}

func (h *house) resident(name string) *resident {
	h.t.Helper()
	var made struct{ Identity struct{ PublicKey string } }
	h.call(h.admin, "IdentityService/CreateIdentity", object{"name": name}, &made)
	return &resident{h, made.Identity.PublicKey, h.token(token.Token{Identity: made.Identity.PublicKey})}
}

type object map[string]any

// ask makes one request in JSON, and gives status and body.
func (h *house) ask(bearer, method string, request any) (int, []byte) {
	h.t.Helper()
	if fields, ok := request.(object); ok {
		if payload, ok := fields["payload"].([]byte); ok {
			h.leaks.Text(payload)
		}
	}
	body, err := json.Marshal(request)
	if err != nil {
		h.t.Fatal(err)
	}
	status, answer, err := h.post(bearer, method, "application/json", body)
	if err != nil {
		h.t.Fatal(err)
	}
	return status, answer
}

// post makes one request.
func (h *house) post(bearer, method, contentType string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.address+"/rookery.api.v1."+method, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", contentType)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// call makes a request that has to succeed.
func (h *house) call(bearer, method string, request, response any) {
	h.t.Helper()
	status, body := h.ask(bearer, method, request)
	if status != http.StatusOK {
		h.t.Fatalf("%s: %d %s", method, status, body)
	}
	if response != nil {
		if err := json.Unmarshal(body, response); err != nil {
			h.t.Fatal(err)
		}
	}
}

// failure is an error as callers get it.
type failure struct{ Code, Message string }

// refused makes a request that has to fail, with that code.
func (h *house) refused(code, bearer, method string, request any) failure {
	h.t.Helper()
	status, body := h.ask(bearer, method, request)
	var f failure
	if err := json.Unmarshal(body, &f); err != nil || f.Code != code || status == http.StatusOK {
		h.t.Errorf("%s: %d %s, want %s", method, status, body, code)
	}
	return f
}

func (r *resident) call(method string, request object, response any) {
	r.h.t.Helper()
	request["identity"] = r.key
	r.h.call(r.token, method, request, response)
}

// knows adds another one as a contact.
func (r *resident) knows(other *resident) {
	r.h.t.Helper()
	var code struct{ ContactCode string }
	other.call("IdentityService/GetContactCode", object{}, &code)
	r.call("ContactService/AddContact", object{"contactCode": code.ContactCode}, nil)
}

type receipt struct {
	MessageID      string `json:"messageId"`
	ForwardSecrecy bool
}

func (r *resident) send(to *resident, text, key string) receipt {
	r.h.t.Helper()
	var sent struct{ Receipt receipt }
	r.call("MessageService/Send", object{"to": to.key, "payload": []byte(text), "idempotencyKey": key}, &sent)
	return sent.Receipt
}

// eventSeen is an event as consumers get it.
type eventSeen struct {
	ID, Cursor, Type, Contact, Identity, Payload, MessageID, Count string
}

func (e eventSeen) text() string {
	b, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b)
}

func (e eventSeen) message() bool {
	return e.Type == "EVENT_TYPE_MESSAGE" || e.Type == "EVENT_TYPE_CONTACT_REQUEST"
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// installation is which one of an identity is hosted.
func (h *house) installation(r *resident) string {
	h.t.Helper()
	var got struct{ Identity struct{ Installation string } }
	r.call("IdentityService/GetIdentity", object{}, &got)
	return got.Identity.Installation
}
