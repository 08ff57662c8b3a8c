package main

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// transportKind is how a network is reached.
type transportKind string

// The kinds of --transport.
const (
	memoryTransport   transportKind = "memory"   // inside this process
	wakuTransport     transportKind = "waku"     // a peer of a Waku network of its own
	wakuRESTTransport transportKind = "wakurest" // a Waku node's REST interface
	natsTransport     transportKind = "nats"     // NATS JetStream
)

// transportSpec is --transport taken apart.
type transportSpec struct {
	kind    transportKind
	address string // "" of memory
	options []transportOption
}

type transportOption struct{ name, value string }

// errTransport: --transport cannot be understood.
var errTransport = errors.New("--transport")

// transportForms says what a transport of each kind looks like: whether its options
// may be given more than once.
var transportForms = map[transportKind]struct {
	form    string
	address func(string) error
	options map[string]bool
}{
	memoryTransport: {"memory", checkNothing, nil},
	wakuTransport: {
		"waku:/ip4/ADDRESS/tcp/PORT/p2p/PEER[,peer=MULTIADDR][,store=URL][,cluster=N][,shard=N][,listen=IP:PORT]",
		checkMultiaddr,
		map[string]bool{"peer": true, "store": false, "cluster": false, "shard": true, "listen": false},
	},
	wakuRESTTransport: {
		"wakurest:http://HOST:PORT[,light=true][,pubsub=TOPIC][,store-peer=MULTIADDR]",
		func(address string) error { return checkURL(address, "http", "https") },
		map[string]bool{"light": false, "pubsub": false, "store-peer": false},
	},
	natsTransport: {
		"nats://HOST:PORT[,server=URL][,creds=FILE][,nkey=FILE][,ca=FILE][,stream=NAME][,prefix=NAME][,create=true]",
		func(address string) error { return checkURL(address, "nats", "tls") },
		map[string]bool{"server": true, "creds": false, "nkey": false, "ca": false, "stream": false, "prefix": false, "create": false},
	},
}

// maxTransportSpec in bytes.
const maxTransportSpec = 4096

// parseTransport takes --transport apart: a kind, its address, and options behind
// commas. Errors say what is wrong and show no password.
func parseTransport(text string) (transportSpec, error) {
	if len(text) > maxTransportSpec {
		return transportSpec{}, fmt.Errorf("%w: %d bytes, at most %d", errTransport, len(text), maxTransportSpec)
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return transportSpec{}, fmt.Errorf("%w: spaces and unprintable characters are not part of it", errTransport)
	}
	head, rest, more := strings.Cut(text, ",")
	spec := kindAndAddress(head)
	form, known := transportForms[spec.kind]
	if !known {
		return transportSpec{}, fmt.Errorf("%w: %q is no kind of network; it is one of memory, waku, wakurest and nats", errTransport, spec.kind)
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w %s: %s; it looks like %s", errTransport, spec.kind, fmt.Sprintf(format, args...), form.form)
	}
	if err := form.address(spec.address); err != nil {
		return transportSpec{}, bad("%v", err)
	}
	if !more {
		return spec, nil
	}
	for option := range strings.SplitSeq(rest, ",") {
		name, value, found := strings.Cut(option, "=")
		repeats, known := form.options[name]
		switch {
		case !found || name == "" || value == "":
			return transportSpec{}, bad("an option is NAME=VALUE")
		case !known:
			return transportSpec{}, bad("there is no option %q", name)
		case !repeats && spec.option(name) != "":
			return transportSpec{}, bad("option %q is there twice", name)
		}
		spec.options = append(spec.options, transportOption{name, value})
	}
	return spec, nil
}

// kindAndAddress splits what stands before the options. The scheme of a URL of
// NATS is the kind.
func kindAndAddress(head string) transportSpec {
	kind, address, _ := strings.Cut(head, ":")
	if kind == "nats" || kind == "tls" {
		return transportSpec{kind: natsTransport, address: head}
	}
	return transportSpec{kind: transportKind(kind), address: address}
}

// option gives the value of an option, "" if it is not there.
func (s transportSpec) option(name string) string {
	for _, o := range s.options {
		if o.name == name {
			return o.value
		}
	}
	return ""
}

// without is the spec without an option.
func (s transportSpec) without(name string) transportSpec {
	s.options = slices.DeleteFunc(slices.Clone(s.options), func(o transportOption) bool { return o.name == name })
	return s
}

// all gives the values of an option that may be there several times.
func (s transportSpec) all(name string) []string {
	var values []string
	for _, o := range s.options {
		if o.name == name {
			values = append(values, o.value)
		}
	}
	return values
}

func checkNothing(address string) error {
	if address != "" {
		return errors.New("it has no address")
	}
	return nil
}

func checkMultiaddr(address string) error {
	if !strings.HasPrefix(address, "/") || !strings.Contains(address, "/p2p/") {
		return errors.New("its address is the multiaddr of a peer")
	}
	return nil
}

// checkURL shows nothing of the URL, which may have a password in it.
func checkURL(address string, schemes ...string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("its URL cannot be read")
	}
	for _, scheme := range schemes {
		if u.Scheme == scheme && u.Host != "" {
			return nil
		}
	}
	return fmt.Errorf("its URL begins with %s:// and names a host", strings.Join(schemes, ":// or "))
}
