package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// HealthCmd asks a daemon how it is, as a container asks its own.
type HealthCmd struct {
	URL     string        `name:"url" placeholder:"URL" help:"Where the daemon is; else what ROOKERY_LISTEN and ROOKERY_TLS_CERT say of one on this machine."`
	Listen  string        `name:"listen" default:"127.0.0.1:7330" env:"ROOKERY_LISTEN" placeholder:"HOST:PORT" help:"Where it serves, as of serve (${default}; ROOKERY_LISTEN)."`
	TLSCert string        `name:"tls-cert" type:"path" env:"ROOKERY_TLS_CERT" placeholder:"FILE" help:"Its certificate chain in PEM, which is believed as it is (ROOKERY_TLS_CERT)."`
	Timeout time.Duration `name:"timeout" default:"5s" help:"How long it may take to answer."`
	JSON    bool          `name:"json" help:"Write one JSON object instead of text."`
}

// healthView is what the daemon says.
type healthView struct {
	URL    string `json:"url"`
	Lives  bool   `json:"lives"`            // its process answers
	Ready  bool   `json:"ready"`            // it takes requests
	Reason string `json:"reason,omitempty"` // why it does not
}

func (v healthView) print(w io.Writer) {
	_, _ = fmt.Fprintln(w, v.URL)
	field(w, "lives", "%v", v.Lives)
	field(w, "ready", "%v", v.Ready)
	if v.Reason != "" {
		field(w, "it says", "%s", plain(v.Reason))
	}
}

var (
	errNotReady = fmt.Errorf("%w: the daemon takes no requests", errBadResult)
	errNoAnswer = errors.New("the daemon does not answer")
)

// Run implements kong's command.
func (c *HealthCmd) Run(out *output) error {
	ctx, stop := interruptible()
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	url, client, err := c.daemon()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	v := healthView{URL: url}
	if v.Lives, v.Reason, err = ask(ctx, client, url+"/healthz"); err == nil && v.Lives {
		v.Ready, v.Reason, err = ask(ctx, client, url+"/readyz")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	if c.JSON {
		err = writeJSON(out.stdout, v)
	} else {
		v.print(out.stdout)
	}
	if err == nil && !v.Ready {
		err = errNotReady
	}
	return err
}

// daemon gives the address to ask, without a slash at its end, and who asks.
func (c *HealthCmd) daemon() (url string, client *http.Client, err error) {
	transport := &http.Transport{Proxy: nil}
	client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if c.TLSCert != "" {
		if transport.TLSClientConfig, err = believing(c.TLSCert); err != nil {
			return "", nil, fmt.Errorf("--tls-cert: %w", err)
		}
	}
	if c.URL != "" {
		return strings.TrimSuffix(c.URL, "/"), client, checkURL(c.URL, "http", "https")
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", nil, fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1" // of all addresses, one of this machine
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	scheme := map[bool]string{false: "http://", true: "https://"}[c.TLSCert != ""]
	return scheme + net.JoinHostPort(host, port), client, nil
}

// believing trusts the certificates in a file, whatever the names in them.
func believing(path string) (*tls.Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate", path)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: roots,
		// It is asked for by an address of this machine, which it need not have: what
		// counts is that it is in the chain that the daemon was given, or signed by who
		// is, as after a renewal. Nothing secret is sent to it.
		InsecureSkipVerify: true, //nolint:gosec // checked below
		VerifyConnection: func(s tls.ConnectionState) error {
			intermediates := x509.NewCertPool()
			for _, c := range s.PeerCertificates[1:] {
				intermediates.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
			return err
		},
	}, nil
}

// maxSaid is how much of an answer is read, in bytes.
const maxSaid = 1 << 10

// ask makes one request: good is status 200, else said is why not.
func ask(ctx context.Context, client *http.Client, url string) (good bool, said string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return false, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxSaid))
	if err != nil {
		return false, "", err
	}
	if response.StatusCode == http.StatusOK {
		return true, "", nil
	}
	return false, cmp.Or(strings.TrimSpace(string(text)), response.Status), nil
}
