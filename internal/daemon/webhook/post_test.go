package webhook

import (
	"bufio"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 2 * time.Minute

func newPoster(t *testing.T, timeout time.Duration, roots *x509.CertPool) *Poster {
	t.Helper()
	p := NewPoster(Reach{}, timeout, time.Now, roots)
	t.Cleanup(p.Close)
	return p
}

func endpoint(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL + "/hook?key=very-secret"
}

func TestDeliveryIsSignedJSONByPost(t *testing.T) {
	secret := NewSecret()
	verifier, err := standardwebhooks.NewWebhook(secret.Text())
	if err != nil {
		t.Fatal(err)
	}
	body := `{"id":"m-1","payload":"aGVsbG8="}`
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || string(got) != body || r.Header.Get(HeaderID) != "m-1" || r.URL.RawQuery != "key=very-secret" {
			t.Errorf("got %s %v %q, %v", r.Method, r.Header, got, err)
		}
		if err := verifier.Verify(got, r.Header); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if o := newPoster(t, patience, nil).Post(t.Context(), Delivery{url, secret, "m-1", []byte(body)}); o.Verdict != Delivered {
		t.Errorf("got %+v", o)
	}
	if o := newPoster(t, patience, nil).Post(t.Context(), Delivery{url, secret, "with.dot", []byte(body)}); o.Verdict != Refused {
		t.Errorf("an id with a dot: %+v", o)
	}
}

func TestAnswersMeanWhatTheirStatusSays(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := NewPoster(Reach{}, patience, func() time.Time { return now }, nil)
	t.Cleanup(p.Close)
	for _, c := range []struct {
		status int
		after  string
		want   Outcome
	}{
		{200, "", Outcome{}},
		{299, "7", Outcome{}},
		{301, "", Outcome{Refused, "answer 301", 0}},
		{307, "", Outcome{Refused, "answer 307", 0}},
		{400, "", Outcome{Refused, "answer 400", 0}},
		{404, "", Outcome{Refused, "answer 404", 0}},
		{410, "", Outcome{Gone, "answer 410", 0}},
		{408, "", Outcome{Away, "answer 408", 0}},
		{429, "17", Outcome{Away, "answer 429", 17 * time.Second}},
		{500, "", Outcome{Refused, "answer 500", 0}},
		{502, "", Outcome{Away, "answer 502", 0}},
		{503, now.Add(time.Minute).Format(http.TimeFormat), Outcome{Away, "answer 503", time.Minute}},
		{503, now.Add(-time.Minute).Format(http.TimeFormat), Outcome{Away, "answer 503", 0}},
		{503, "1000000", Outcome{Away, "answer 503", MaxRetryAfter}},
		{503, "99999999999999999999", Outcome{Away, "answer 503", 0}},
		{503, "-1", Outcome{Away, "answer 503", 0}},
		{504, "soon", Outcome{Away, "answer 504", 0}},
	} {
		followed := false
		url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
			followed = followed || r.URL.Path != "/hook"
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", c.after)
			w.WriteHeader(c.status)
		})
		if o := p.Post(t.Context(), Delivery{URL: url, ID: "m"}); o != c.want || followed {
			t.Errorf("%d, Retry-After %q: %+v, want %+v; followed: %t", c.status, c.after, o, c.want, followed)
		}
	}
}

// An endpoint costs a bounded time and memory, whatever it does, and no cause shows its URL.
func TestEndpointThatMisbehavesIsAway(t *testing.T) {
	release := make(chan struct{})
	slow := endpoint(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	headers := endpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 2*maxHeader))
	})
	encrypted := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer encrypted.Close()
	encrypted.Config.ErrorLog = nil
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, c := range map[string]struct {
		url     string
		timeout time.Duration
		says    string
	}{
		"slow":             {slow, 50 * time.Millisecond, "no answer in time"},
		"closed":           {closed.URL + "/very-secret", patience, "refused"},
		"long headers":     {headers, patience, "no answer"},
		"unknown issuer":   {encrypted.URL + "/very-secret", patience, "certificate"},
		"private":          {"https://192.168.77.77/very-secret", patience, "not public"},
		"private by IPv6":  {"https://[fd00::77]/very-secret", patience, "not public"},
		"metadata service": {"https://169.254.169.254/very-secret", patience, "not public"},
	} {
		o := newPoster(t, c.timeout, nil).Post(t.Context(), Delivery{URL: c.url, ID: "m"})
		if o.Verdict != Away || !strings.Contains(o.Cause, c.says) || strings.Contains(o.Cause, "very-secret") {
			t.Errorf("%s: %+v", name, o)
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(encrypted.Certificate())
	if o := newPoster(t, patience, roots).Post(t.Context(), Delivery{URL: encrypted.URL, ID: "m"}); o.Verdict != Delivered {
		t.Errorf("with its issuer: %+v", o)
	}
}

// raw is an endpoint that answers each request with these bytes, and then keeps the
// connection open and says nothing.
func raw(t *testing.T, answer string) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		served.Wait()
	})
	served.Go(func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer func() { _ = connection.Close() }()
				defer context.AfterFunc(t.Context(), func() { _ = connection.Close() })()
				reader := bufio.NewReader(connection)
				if _, err := http.ReadRequest(reader); err == nil {
					_, _ = io.WriteString(connection, answer)
					_, _ = io.Copy(io.Discard, reader) // until the other side closes it
				}
			})
		}
	})
	return "http://" + listener.Addr().String() + "/hook?key=very-secret"
}

// An endpoint that switches protocols, whose connection would not end with the time of
// the attempt, refuses, and holds nobody up.
func TestEndpointThatSwitchesProtocolsRefuses(t *testing.T) {
	url := raw(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: nothing\r\n\r\n")
	done := make(chan Outcome, 1)
	p := newPoster(t, time.Second, nil)
	go func() { done <- p.Post(t.Context(), Delivery{URL: url, ID: "m"}) }()
	select {
	case o := <-done:
		if want := (Outcome{Verdict: Refused, Cause: "answer 101"}); o != want {
			t.Errorf("got %+v, want %+v", o, want)
		}
	case <-time.After(patience):
		t.Fatal("the attempt does not end")
	}
}

// Nothing of what an endpoint says comes into a cause, and a redirect to nowhere is an
// answer.
func TestCausesHaveNothingThatTheEndpointSays(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   Outcome
	}{
		"redirect to nowhere": {"HTTP/1.1 302 secret text\r\nLocation: ://%zz\r\nContent-Length: 0\r\n\r\n", Outcome{Verdict: Refused, Cause: "answer 302"}},
		"no HTTP":             {"220 secret text\r\n\r\n", Outcome{Verdict: Away, Cause: "no answer: what came is not HTTP, or too long"}},
		"no header":           {"HTTP/1.1 200 OK\r\nsecret text\r\n\r\n", Outcome{Verdict: Away, Cause: "no answer: what came is not HTTP, or too long"}},
	} {
		if o := newPoster(t, patience, nil).Post(t.Context(), Delivery{URL: raw(t, c.answer), ID: "m"}); o != c.want {
			t.Errorf("%s: %+v, want %+v", name, o, c.want)
		}
	}
}

// An answer without end is cut off, and counts by its status.
func TestAnswerIsReadToABoundOnly(t *testing.T) {
	cut := make(chan struct{})
	url := endpoint(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(cut)
		piece := make([]byte, 32<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	if o := newPoster(t, patience, nil).Post(t.Context(), Delivery{URL: url, ID: "m"}); o.Verdict != Delivered {
		t.Errorf("got %+v", o)
	}
	select {
	case <-cut:
	case <-time.After(patience):
		t.Error("it is still read")
	}
}

func TestWaitsGrowWithChanceAndHaveABound(t *testing.T) {
	s := Schedule{First: time.Second, Longest: time.Minute}
	for attempts, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 8: time.Minute, 1000: time.Minute} {
		seen := make(map[time.Duration]bool)
		for range 200 {
			wait := s.Wait(attempts, Outcome{})
			if wait < want/2 || wait > want {
				t.Fatalf("behind attempt %d: %v, want %v to %v", attempts, wait, want/2, want)
			}
			seen[wait] = true
		}
		if len(seen) < 100 {
			t.Errorf("behind attempt %d: %d different waits of 200", attempts, len(seen))
		}
	}
	if wait := s.Wait(1, Outcome{RetryAfter: time.Hour}); wait != time.Hour {
		t.Errorf("the endpoint asked for an hour: %v", wait)
	}
	if wait := (Schedule{First: time.Minute, Longest: time.Second}).Wait(1, Outcome{}); wait > time.Second {
		t.Errorf("got %v", wait)
	}
}
