package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rookery-im/rookery/internal/daemon/webhook"
)

// The bots of the documentation echo, also what has come before they were started. One
// whose interpreter is not on the machine is said to be untried.
func TestExampleBotsEcho(t *testing.T) {
	for name, command := range map[string][]string{
		"python":     {"python3", filepath.Join("..", "..", "examples", "python", "echo.py")},
		"javascript": {"node", filepath.Join("..", "..", "examples", "javascript", "echo.mjs")},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(command[0])
			if err != nil {
				t.Logf("%s is not here: its bot was not tried", command[0])
				return
			}
			h := newHouse(t)
			alice, bot := h.resident("alice"), h.resident("bot")
			alice.knows(bot)
			alice.send(bot, "before", "")
			run := exec.CommandContext(t.Context(), program, command[1])
			run.Env = append(os.Environ(), "ROOKERY_URL="+h.address, "ROOKERY_TOKEN="+bot.token, "ROOKERY_IDENTITY="+bot.key)
			run.Stdout, run.Stderr = h.log, h.log
			run.WaitDelay = time.Minute
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = run.Process.Kill()
				_ = run.Wait()
				if t.Failed() {
					t.Log(h.log.String())
				}
			}()
			answers := alice.listen("")
			for _, text := range []string{"before", "after", "\x00\xff and other bytes"} {
				if text != "before" {
					alice.send(bot, text, "")
				}
				if e := answers.message(); e.text() != text {
					t.Errorf("%q came back as %q", text, e.text())
				}
			}
			eventually(t, "all acknowledged", func() bool { return h.hosting.Counts().Acknowledged == 3 })
		})
	}
}

// The endpoints of the documentation print what is posted to them once, take nothing that
// is not signed, and are told what has come before they were started.
func TestExampleEndpointsVerify(t *testing.T) {
	for name, command := range map[string][]string{
		"python":     {"python3", filepath.Join("..", "..", "examples", "python", "webhook.py")},
		"javascript": {"node", filepath.Join("..", "..", "examples", "javascript", "webhook.mjs")},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(command[0])
			if err != nil {
				t.Logf("%s is not here: its endpoint was not tried", command[0])
				return
			}
			h := newHouse(t, quickWebhooks)
			alice, bob := h.resident("alice"), h.resident("bob")
			alice.knows(bob)
			alice.send(bob, "before", "")
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := listener.Addr().String()
			if err := listener.Close(); err != nil { // its port is for the endpoint
				t.Fatal(err)
			}
			var made struct{ Secret string }
			h.call(h.admin, "WebhookService/CreateWebhook", object{"identity": bob.key, "url": "http://" + address + "/"}, &made)
			said := new(logBook)
			run := exec.CommandContext(t.Context(), program, command[1])
			_, port, _ := net.SplitHostPort(address)
			run.Env = append(os.Environ(), "WEBHOOK_SECRET="+made.Secret, "PORT="+port)
			run.Stdout, run.Stderr = said, h.log
			run.WaitDelay = time.Minute
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = run.Process.Kill()
				_ = run.Wait()
				if t.Failed() {
					t.Log(said.String(), h.log.String())
				}
			}()
			h.settled(1)
			alice.send(bob, "after", "")
			h.settled(2)
			body := []byte(`{"id":"m-1","type":"EVENT_TYPE_MESSAGE"}`)
			for _, header := range []http.Header{
				{},
				{webhook.HeaderID: {"m-1"}, webhook.HeaderTimestamp: {"1700000000"}, webhook.HeaderSignature: {"v1,AAAA"}},
				signedBy(t, made.Secret, time.Now().Add(-time.Hour), body),
				signedBy(t, webhook.NewSecret().Text(), time.Now(), body),
			} {
				if status := postTo(t, "http://"+address, header, body); status != http.StatusUnauthorized {
					t.Errorf("%v: status %d", header, status)
				}
			}
			gone := must(new(net.Dialer).DialContext(t.Context(), "tcp", address))(t) // in the middle of a body
			_, err = io.WriteString(gone, "POST / HTTP/1.1\r\nHost: "+address+"\r\nContent-Length: 100\r\n\r\nsome")
			if err := errors.Join(err, gone.Close()); err != nil {
				t.Fatal(err)
			}
			good := signedBy(t, made.Secret, time.Now(), body)
			for range 2 {
				if status := postTo(t, "http://"+address, good, body); status != http.StatusNoContent {
					t.Errorf("status %d", status)
				}
			}
			for _, text := range []string{"EVENT_TYPE_CONTACT_REQUEST " + alice.key + " before\n", alice.key + " after\n", "EVENT_TYPE_MESSAGE  \n"} {
				if n := strings.Count(said.String(), text); n != 1 {
					t.Errorf("%q was said %d times", text, n)
				}
			}
		})
	}
}

// signedBy are the headers of a delivery, by the library of Standard Webhooks.
func signedBy(t *testing.T, secret string, at time.Time, body []byte) http.Header {
	t.Helper()
	signature := must(must(standardwebhooks.NewWebhook(secret))(t).Sign("m-1", at, body))(t)
	return http.Header{webhook.HeaderID: {"m-1"}, webhook.HeaderTimestamp: {fmt.Sprint(at.Unix())}, webhook.HeaderSignature: {signature}}
}

func postTo(t *testing.T, url string, header http.Header, body []byte) int {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body)))(t)
	r.Header = header
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
