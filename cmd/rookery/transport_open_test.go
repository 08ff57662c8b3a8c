package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport/carrier"
)

const somePeer = "/ip4/127.0.0.1/tcp/1/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

// Every kind of network opens although nobody is there to be reached.
func TestTransportsAreOpened(t *testing.T) {
	for _, text := range []string{
		"memory",
		"waku:" + somePeer,
		"waku:" + somePeer + ",store=http://127.0.0.1:1,cluster=16,shard=32,shard=64,listen=127.0.0.1:0,peer=" + somePeer,
		"wakurest:http://127.0.0.1:1",
		"wakurest:http://127.0.0.1:1,light=true,store-peer=" + somePeer,
		"nats://127.0.0.1:1",
		"nats://127.0.0.1:1,stream=other,prefix=other,create=true,server=nats://127.0.0.1:2",
	} {
		spec, err := parseTransport(text)
		if err != nil {
			t.Fatal(err)
		}
		var options rookery.Options
		if err := openTransport(t.Context(), spec, &options); err != nil || (options.Transport == nil) == (options.Carrier == nil) {
			t.Errorf("%s: %+v, %v", text, options, err)
		}
		if options.Carrier != nil {
			if err := options.Carrier.Close(); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestOptionsOfTransportsAreChecked(t *testing.T) {
	for text, says := range map[string]string{
		"waku:" + somePeer + ",cluster=many":              "cluster=many: a number",
		"waku:" + somePeer + ",shard=70000":               "shard=70000: a number",
		"waku:" + somePeer + ",listen=everywhere":         "listen",
		"waku:" + somePeer + ",store=ftp://h":             "URL",
		"waku:/dns4/node.example/tcp/1/p2p/x":             "peer",
		"wakurest:http://127.0.0.1:1,light=perhaps":       "light=perhaps: true or false",
		"wakurest:http://127.0.0.1:1/?query":              "URL",
		"nats://127.0.0.1:1,create=yes":                   "create=yes: true or false",
		"nats://user:word@127.0.0.1:1":                    "credentials",
		"nats://127.0.0.1:1,creds=/nowhere,nkey=/nowhere": "",
	} {
		spec, err := parseTransport(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var options rookery.Options
		err = openTransport(t.Context(), spec, &options)
		if !errors.Is(err, errTransport) || !errors.Is(err, carrier.ErrOptions) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(says)) || strings.Contains(err.Error(), "word") {
			t.Errorf("%s: %v", text, err)
		}
		if options.Carrier != nil {
			t.Errorf("%s: a carrier is there", text)
		}
	}
}
