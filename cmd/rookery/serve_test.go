package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// serves starts a daemon and gives its address when it is ready.
func (p person) serves(args ...string) (*listening, string) {
	p.t.Helper()
	errors, err := os.Create(filepath.Join(p.t.TempDir(), "stderr"))
	if err != nil {
		p.t.Fatal(err)
	}
	l := &listening{t: p.t, errors: errors, status: make(chan int, 1)}
	p.t.Cleanup(func() { _ = errors.Close() }) // a test's own file
	go func() {
		args := append([]string{"serve", "--transport=memory", "--listen=127.0.0.1:0", "--log-format=json"}, args...)
		l.status <- run(p.args(args...), strings.NewReader(""), &l.out, errors)
	}()
	address := regexp.MustCompile(`"msg":"serving","address":"([^"]+)"`)
	soon(p.t, "serving", func() bool { return address.MatchString(l.said()) || len(l.status) > 0 })
	found := address.FindStringSubmatch(l.said())
	if found == nil {
		p.t.Fatal(l.said())
	}
	return l, "http://" + found[1]
}

// asks makes a request with a token, and gives its status.
func asks(t *testing.T, address, bearer string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/rookery.api.v1.IdentityService/ListIdentities", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(new(map[string]any)); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

// tokens runs a command that needs no store.
func (p person) tokens(args ...string) []map[string]any {
	p.t.Helper()
	status, out, errors := command(p.t, append([]string{"token"}, append(args, "--dir="+p.dir)...)...)
	if status != 0 {
		p.t.Fatalf("%v: %s", args, errors)
	}
	return objectsIn(p.t, out)
}

// Tokens are made and revoked while the daemon runs, and count at once. The directory
// is locked, and free again after the daemon was told to end.
func TestDaemonTakesTokensAsTheyAreMadeAndEndsInOrder(t *testing.T) {
	p := newPerson(t)
	key := p.new()
	daemon, address := p.serves()
	made := p.tokens("create", "--identity="+key, "--json", "--expires=1d")[0]
	text := made["token"].(string)
	if status := asks(t, address, text); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	p.fails(2, "a running process has the store open", "identity", "list")
	if all := p.tokens("list", "--json"); len(all) != 1 || all[0]["for"] != key || all[0]["token"] != nil {
		t.Errorf("got %v", all)
	}
	p.tokens("revoke", made["id"].(string))
	if status := asks(t, address, text); status != http.StatusUnauthorized {
		t.Errorf("status %d of a token that was revoked", status)
	}
	daemon.interrupt()
	daemon.ends(0)
	if strings.Contains(daemon.said(), text) {
		t.Error("the token was logged")
	}
	if got := len(p.objects("identity", "list")); got != 1 {
		t.Errorf("%d identities", got)
	}
}

func TestTokensAreRefusedForNothing(t *testing.T) {
	p := newPerson(t)
	for _, args := range [][]string{{"--admin"}, {"--identity=x"}} {
		if status, _, said := command(t, append([]string{"token", "create", "--dir=" + p.dir}, args...)...); status != 2 {
			t.Errorf("%v without a store: %d %s", args, status, said)
		}
	}
	p.new()
	for _, args := range [][]string{{}, {"--identity=x"}, {"--admin", "--identity=x"}, {"--admin", "--expires=0d"}, {"--admin", "--expires=-1h"}, {"--admin", "--expires=soon"}} {
		if status, _, said := command(t, append([]string{"token", "create", "--dir=" + p.dir}, args...)...); status != 2 {
			t.Errorf("%v: %d %s", args, status, said)
		}
	}
	if all := p.tokens("list", "--json"); len(all) != 0 {
		t.Errorf("got %v", all)
	}
}

func TestLifetimeOfATokenIsReadInDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 30 * 24 * time.Hour, "12h": 12 * time.Hour, "never": 0} {
		if got, err := lifetime(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Flags win over the environment, that over the file, and that over defaults.
func TestConfigurationSaysWhereItIsFrom(t *testing.T) {
	p := newPerson(t)
	file := filepath.Join(t.TempDir(), "config.yaml")
	write := func(content string) {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("rate: 1.5\nburst: 3\nmax-streams: 4\nlog-level: warn\ntransport: nats://me:secret@127.0.0.1:1\n")
	t.Setenv("ROOKERY_BURST", "5")
	t.Setenv("ROOKERY_MAX_STREAMS", "6")
	t.Setenv("ROOKERY_PASSPHRASE", "open sesame")
	status, out, said := command(t, "serve", "--dir="+p.dir, "--config="+file, "--max-streams=7", "--print-config", "--json")
	if status != 0 {
		t.Fatal(said)
	}
	got := make(map[string]string)
	for _, one := range objectsIn(t, out) {
		got[one["name"].(string)] = one["value"].(string) + " from " + one["from"].(string)
	}
	for name, want := range map[string]string{
		"max-streams": "7 from flag", "burst": "5 from environment", "rate": "1.5 from file", "log-level": "WARN from file",
		"max-requests": "1024 from default", "transport": "nats://...@127.0.0.1:1 from file", "ROOKERY_PASSPHRASE": "(not shown) from environment",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if strings.Contains(out, "secret") || strings.Contains(out, "sesame") {
		t.Error("a secret is shown")
	}
	for content, says := range map[string]string{
		"rates: 1\n": "rates", "print-config: true\n": "print-config", "rate: [1]\n": "configuration file", "rate: many\n": "rate",
		"rate: 1\nrate: 2\n": "already set", strings.Repeat("#", maxConfig+1): "more than",
	} {
		write(content)
		status, _, said := command(t, "serve", "--dir="+p.dir, "--config="+file, "--print-config")
		if status != 2 || !strings.Contains(said, says) {
			t.Errorf("%.20q: %d %s", content, status, said)
		}
	}
}

func TestDaemonRefusesWhatWouldExposeIt(t *testing.T) {
	p := newPerson(t)
	for says, args := range map[string][]string{
		"--public":            {"--listen=0.0.0.0:0"},
		"--insecure":          {"--listen=0.0.0.0:0", "--public"},
		"go together":         {"--tls-cert=x"},
		"no such file":        {"--tls-cert=x", "--tls-key=y"},
		"have to be above 0":  {"--rate=-1"},
		"missing port":        {"--listen=127.0.0.1"},
		"no network":          {"--listen=127.0.0.1:0", "--transport="},
		"bounds and times ha": {"--request-timeout=0s"},
	} {
		p.fails(2, says, append([]string{"serve", "--transport=memory"}, args...)...)
	}
}

// The console is there unless it is switched off, under the names that are given too.
func TestDaemonServesTheConsole(t *testing.T) {
	for _, c := range []struct {
		args []string
		host string
		want int
	}{
		{nil, "", http.StatusOK},
		{nil, "console.example", http.StatusMisdirectedRequest},
		{[]string{"--console-host=console.example"}, "console.example", http.StatusOK},
		{[]string{"--no-console"}, "", http.StatusNotFound},
	} {
		p := newPerson(t)
		p.new()
		daemon, address := p.serves(c.args...)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/console/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = c.host
		response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%v as %q: %d", c.args, c.host, response.StatusCode)
		}
		daemon.interrupt()
		daemon.ends(0)
	}
}
