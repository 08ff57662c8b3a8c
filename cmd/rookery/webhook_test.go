package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// hooks runs a command that asks a daemon.
func (p person) hooks(address, key string, args ...string) []map[string]any {
	p.t.Helper()
	args = append([]string{"webhook"}, args...)
	status, out, said := command(p.t, append(args, "--daemon="+address, "--identity="+key, "--json")...)
	if status != 0 {
		p.t.Fatalf("%v: %d %s", args, status, said)
	}
	return objectsIn(p.t, out)
}

// Webhooks are made, listed, resumed and deleted from the command line while the daemon
// runs, and the store is in order with them.
func TestWebhooksFromTheCommandLine(t *testing.T) {
	p := newPerson(t)
	key := p.new()
	daemon, address := p.serves("--webhook-allow=10.0.0.0/8", "--metrics=127.0.0.1:0")
	endpoint := httptest.NewServer(http.NotFoundHandler())
	defer endpoint.Close()
	t.Setenv("ROOKERY_TOKEN", p.tokens("create", "--admin", "--json")[0]["token"].(string))
	made := p.hooks(address, key, "create", endpoint.URL)[0]
	secret, id := made["secret"].(string), made["id"].(string)
	if !strings.HasPrefix(secret, "whsec_") || made["identity"] != key || made["url"] != endpoint.URL || made["state"] != "delivering" {
		t.Errorf("got %v", made)
	}
	p.hooks(address, key, "create", "https://10.1.2.3/hook")
	all := p.hooks(address, key, "list")
	if len(all) != 2 || all[0]["id"] != id || all[0]["secret"] != nil {
		t.Errorf("got %v", all)
	}
	if got := p.hooks(address, key, "resume", id); len(got) != 1 || got[0]["id"] != id {
		t.Errorf("got %v", got)
	}
	if got := p.hooks(address, key, "dead", id); len(got) != 0 {
		t.Errorf("got %v", got)
	}
	if got := p.hooks(address, key, "redeliver", id, "--all"); len(got) != 1 || got[0]["delivered"] != 0.0 {
		t.Errorf("got %v", got)
	}
	if got := p.hooks(address, key, "drop", id, "some event"); len(got) != 1 || got[0]["dropped"] != 0.0 {
		t.Errorf("got %v", got)
	}
	for says, args := range map[string][]string{
		"no such webhook": {"delete", "0000000000000000"}, "not public": {"create", "https://192.168.1.1/"}, "http is for this host": {"create", "http://example.org"},
		"either event ids or all": {"drop", id},
	} {
		status, _, said := command(t, append([]string{"webhook", args[0], "--daemon=" + address, "--identity=" + key}, args[1:]...)...)
		if status != 2 || !strings.Contains(said, says) {
			t.Errorf("%v: %d %s", args, status, said)
		}
	}
	p.hooks(address, key, "delete", all[1]["id"].(string))
	daemon.interrupt()
	daemon.ends(0)
	if said := daemon.said(); strings.Contains(said, secret) || strings.Contains(said, endpoint.URL) {
		t.Error("a secret or a URL was logged")
	}
	says(t, 0, `not in order +0`, "store", "check", p.dir, "--key-file", p.key)
	t.Setenv("ROOKERY_TOKEN", "")
	if status, _, said := command(t, "webhook", "list", "--daemon="+address); status != 2 || !strings.Contains(said, "no token") {
		t.Errorf("without a token: %d %s", status, said)
	}
}

// The token is for the daemon that was named: where that redirects to is not asked.
func TestTokenIsNotShownToWhereADaemonRedirectsTo(t *testing.T) {
	var shown atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { shown.Add(1) }))
	defer elsewhere.Close()
	t.Setenv("ROOKERY_TOKEN", "rookery_very_secret")
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		daemon := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		defer daemon.Close()
		if status, out, said := command(t, "webhook", "list", "--daemon="+daemon.URL); status != 2 || strings.Contains(out+said, "very_secret") {
			t.Errorf("%d %s %s", status, out, said)
		}
	}
	if n := shown.Load(); n != 0 {
		t.Errorf("%d requests came elsewhere", n)
	}
}
