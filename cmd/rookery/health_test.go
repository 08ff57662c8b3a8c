package main

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A daemon that serves is healthy, by its address and by what it was told to listen on.
func TestHealthOfADaemon(t *testing.T) {
	p := newPerson(t)
	p.new()
	l, address := p.serves()
	says(t, 0, `lives +true\s+ready +true`, "health", "--url="+address+"/")
	says(t, 0, `"lives":true,"ready":true`, "health", "--json", "--listen="+strings.TrimPrefix(address, "http://"))
	l.interrupt()
	l.ends(0)
	says(t, exitError, "does not answer", "health", "--url="+address)
}

// What is no daemon, or one that takes no requests, is not healthy; nobody is led away.
func TestHealthOfWhatIsNotReady(t *testing.T) {
	answers := map[string]int{"/healthz": http.StatusOK, "/readyz": http.StatusServiceUnavailable}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answers[r.URL.Path])
		_, _ = w.Write([]byte("closing\n"))
	}))
	defer server.Close()
	says(t, exitBadResult, `(?s)lives +true\s+ready +false\s+it says +closing`, "health", "--url="+server.URL)
	answers["/healthz"] = http.StatusFound
	says(t, exitBadResult, `lives +false`, "health", "--url="+server.URL)
	says(t, exitError, "--listen", "health", "--listen=nowhere")
	says(t, exitError, "", "health", "--url=ftp://127.0.0.1")
}

// With TLS only the certificate is believed that the daemon was given.
func TestHealthBelievesTheCertificateOfTheDaemon(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "cert.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	listen := strings.TrimPrefix(server.URL, "https://")
	says(t, 0, `ready +true`, "health", "--tls-cert="+file, "--listen="+listen)
	says(t, exitError, "certificate", "health", "--url="+server.URL)
}
