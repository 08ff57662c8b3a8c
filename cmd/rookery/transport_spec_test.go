package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestTransportsAreTakenApart(t *testing.T) {
	const peer = "/ip4/127.0.0.1/tcp/60000/p2p/16Uiu2HAmPeer"
	for text, want := range map[string]transportSpec{
		"memory":       {kind: memoryTransport},
		"waku:" + peer: {kind: wakuTransport, address: peer},
		"waku:" + peer + ",store=http://127.0.0.1:8645": {
			kind: wakuTransport, address: peer, options: []transportOption{{"store", "http://127.0.0.1:8645"}},
		},
		"waku:" + peer + ",peer=/ip4/10.0.0.1/tcp/1/p2p/x,shard=32,shard=64,cluster=16": {
			kind: wakuTransport, address: peer,
			options: []transportOption{{"peer", "/ip4/10.0.0.1/tcp/1/p2p/x"}, {"shard", "32"}, {"shard", "64"}, {"cluster", "16"}},
		},
		"wakurest:http://127.0.0.1:8645":                       {kind: wakuRESTTransport, address: "http://127.0.0.1:8645"},
		"wakurest:https://user:word@node.example/x,light=true": {kind: wakuRESTTransport, address: "https://user:word@node.example/x", options: []transportOption{{"light", "true"}}},
		"nats://127.0.0.1:4222":                                {kind: natsTransport, address: "nats://127.0.0.1:4222"},
		"tls://nats.example,creds=/run/creds=1":                {kind: natsTransport, address: "tls://nats.example", options: []transportOption{{"creds", "/run/creds=1"}}},
	} {
		got, err := parseTransport(text)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	spec, err := parseTransport("waku:" + peer + ",shard=32,shard=64")
	if err != nil || spec.option("shard") != "32" || spec.option("store") != "" || len(spec.all("shard")) != 2 || spec.all("peer") != nil {
		t.Errorf("%+v, %v", spec, err)
	}
}

func TestBadTransportsAreRefused(t *testing.T) {
	const peer = "/ip4/127.0.0.1/tcp/60000/p2p/16Uiu2HAmPeer"
	for text, says := range map[string]string{
		"":                                   "no kind of network",
		"carrier-pigeon":                     "no kind of network",
		"http://127.0.0.1:8645":              "no kind of network",
		"Memory":                             "no kind of network",
		"memory:x":                           "it has no address",
		"memory,seed=1":                      `no option "seed"`,
		"memory,":                            "an option is NAME=VALUE",
		"waku":                               "multiaddr of a peer",
		"waku:":                              "multiaddr of a peer",
		"waku:127.0.0.1:60000":               "multiaddr of a peer",
		"waku:/ip4/127.0.0.1/tcp/60000":      "multiaddr of a peer",
		"waku:" + peer + ",":                 "an option is NAME=VALUE",
		"waku:" + peer + ",store":            "an option is NAME=VALUE",
		"waku:" + peer + ",store=":           "an option is NAME=VALUE",
		"waku:" + peer + ",=x":               "an option is NAME=VALUE",
		"waku:" + peer + ",stores=x":         `no option "stores"`,
		"waku:" + peer + ",store=a,store=b":  `option "store" is there twice`,
		"waku:" + peer + ", store=a":         "spaces and unprintable characters",
		"waku:" + peer + "\x1b[2J":           "spaces and unprintable characters",
		"wakurest:":                          "begins with http:// or https://",
		"wakurest:127.0.0.1:8645":            "its URL",
		"wakurest:ftp://127.0.0.1":           "begins with http:// or https://",
		"wakurest:http://":                   "names a host",
		"wakurest:http://user:word@h:x":      "cannot be read",
		"nats:":                              "names a host",
		"nats://":                            "names a host",
		"nats:127.0.0.1:4222":                "names a host",
		"nats://h,create=true,create=true":   "there twice",
		"memory" + strings.Repeat("y", 5000): "at most 4096",
	} {
		spec, err := parseTransport(text)
		if !errors.Is(err, errTransport) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60q: %+v, %v", text, spec, err)
		}
		if err != nil && strings.Contains(err.Error(), "word") {
			t.Errorf("%.60q: the error shows a password: %v", text, err)
		}
	}
}
