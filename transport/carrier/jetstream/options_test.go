package jetstream_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
)

type nobody struct{}

func (nobody) InProcessConn() (net.Conn, error) { return nil, net.ErrClosed }

func TestOptionsOutOfBoundsAreRefused(t *testing.T) {
	for name, change := range map[string]func(o *jetstream.Options){
		"no server":               func(o *jetstream.Options) { o.Servers = nil },
		"two kinds of servers":    func(o *jetstream.Options) { o.InProcess = nobody{} },
		"no address":              func(o *jetstream.Options) { o.Servers = []string{"nats://"} },
		"no scheme":               func(o *jetstream.Options) { o.Servers = []string{"127.0.0.1:4222"} },
		"other scheme":            func(o *jetstream.Options) { o.Servers = []string{"http://127.0.0.1"} },
		"password in address":     func(o *jetstream.Options) { o.Servers = []string{"nats://me:tell-no-one@127.0.0.1"} },
		"broken address":          func(o *jetstream.Options) { o.Servers = []string{"nats://me:tell-no-one@%zz"} },
		"prefix with wildcard":    func(o *jetstream.Options) { o.Prefix = "rookery.*" },
		"prefix with empty token": func(o *jetstream.Options) { o.Prefix = "rookery..a" },
		"prefix of the system":    func(o *jetstream.Options) { o.Prefix = "$JS" },
		"stream with dot":         func(o *jetstream.Options) { o.Stream.Name = "a.b" },
		"inbox with wildcard":     func(o *jetstream.Options) { o.Inbox = "_INBOX.>" },
		"negative age":            func(o *jetstream.Options) { o.Stream.MaxAge = -1 },
		"too many filters":        func(o *jetstream.Options) { o.Filters = 1001 },
		"negative filters":        func(o *jetstream.Options) { o.Filters = -1 },
		"negative backlog":        func(o *jetstream.Options) { o.Backlog = -1 },
		"negative in flight":      func(o *jetstream.Options) { o.InFlight = -1 },
		"no room for a payload":   func(o *jetstream.Options) { o.InFlightBytes = carrier.MaxPayload - 1 },
		"negative timeout":        func(o *jetstream.Options) { o.Timeout = -time.Second },
		"retry over its maximum":  func(o *jetstream.Options) { o.Retry, o.RetryMax = time.Second, time.Millisecond },
		"two logins":              func(o *jetstream.Options) { o.Login = jetstream.Login{Token: "tell-no-one", NKeyFile: "f"} },
		"user without password":   func(o *jetstream.Options) { o.Login.User = "me" },
		"key without certificate": func(o *jetstream.Options) { o.TLS.Key = "f" },
		"missing key file":        func(o *jetstream.Options) { o.Login.NKeyFile = "missing" },
		"missing authorities":     func(o *jetstream.Options) { o.TLS.CA = "missing" },
	} {
		o := jetstream.Options{Servers: []string{"nats://127.0.0.1:1"}}
		change(&o)
		_, err := jetstream.Open(t.Context(), o)
		if !errors.Is(err, carrier.ErrOptions) {
			t.Errorf("%s: got error %v", name, err)
		} else if strings.Contains(err.Error(), "tell-no-one") {
			t.Errorf("%s: the error tells a password", name)
		}
	}
}

func TestLoginIsNotPrinted(t *testing.T) {
	o := jetstream.Options{Login: jetstream.Login{User: "me", Password: "tell-no-one", Token: "tell-no-one"}}
	open := o
	open.Servers, open.Timeout, open.Login.Token = []string{"nats://127.0.0.1:1"}, 10*time.Millisecond, ""
	c, err := jetstream.Open(t.Context(), open)
	if err != nil {
		t.Fatal(err)
	}
	closed(t, c)
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{o, &o, o.Login, &o.Login, c} {
			if text := fmt.Sprintf(format, value); strings.Contains(text, "tell-no-one") || strings.Contains(text, fmt.Sprintf("%x", "tell-no-one")) {
				t.Errorf("%s of %T tells the password", format, value)
			}
		}
	}
}
