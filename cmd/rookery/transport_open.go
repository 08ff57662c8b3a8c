package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/jetstream"
	"github.com/rookery-im/rookery/transport/carrier/wakurelay"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/memory"
	"github.com/rookery-im/rookery/x3dh"
)

// processNetwork is what --transport memory is: commands of one process, as tests
// run them, reach each other by it.
var processNetwork = sync.OnceValue(func() *memory.Network { return memory.New(1, memory.Faults{}) })

// openTransport opens a network and puts it into the options of an engine, which
// closes it. There need not be anybody to reach yet.
func openTransport(ctx context.Context, spec transportSpec, options *rookery.Options) error {
	if spec.kind == memoryTransport {
		options.Transport = processNetwork()
		return nil
	}
	c, err := openCarrier(ctx, spec)
	if err != nil {
		return fmt.Errorf("%w %s: %w", errTransport, spec.kind, err)
	}
	options.Carrier = c
	return nil
}

func openCarrier(ctx context.Context, spec transportSpec) (carrier.Carrier, error) {
	switch spec.kind {
	case wakuTransport:
		return openWaku(spec)
	case wakuRESTTransport:
		options, err := restOptions(spec)
		if err != nil {
			return nil, err
		}
		return orNil(wakurest.New(options))
	case natsTransport:
		create, err := spec.flag("create")
		if err != nil {
			return nil, err
		}
		return orNil(jetstream.Open(ctx, jetstream.Options{
			Servers: append([]string{spec.address}, spec.all("server")...),
			Login:   jetstream.Login{CredentialsFile: spec.option("creds"), NKeyFile: spec.option("nkey")},
			TLS:     jetstream.TLS{CA: spec.option("ca")},
			Prefix:  spec.option("prefix"),
			Stream:  jetstream.Stream{Name: spec.option("stream"), Create: create},
		}))
	case memoryTransport: // is no carrier
	}
	return nil, fmt.Errorf("%w: %q", errTransport, spec.kind)
}

func restOptions(spec transportSpec) (wakurest.Options, error) {
	light, err := spec.flag("light")
	return wakurest.Options{
		URL: spec.address, Light: light, PubsubTopic: spec.option("pubsub"), StorePeer: spec.option("store-peer"),
	}, err
}

func openWaku(spec transportSpec) (carrier.Carrier, error) {
	cluster, err := spec.numbers("cluster")
	if err != nil {
		return nil, err
	}
	shards, err := spec.numbers("shard")
	if err != nil {
		return nil, err
	}
	options := wakurelay.Options{
		Peers:   append([]string{spec.address}, spec.all("peer")...),
		Listen:  spec.option("listen"),
		Cluster: append(cluster, wakurelay.DefaultCluster)[0],
		Shards:  shards,
	}
	if url := spec.option("store"); url != "" {
		// Of what is published to, the first shard.
		pubsub := fmt.Sprintf("/waku/2/rs/%d/%d", options.Cluster, append(shards, wakurelay.DefaultShard)[0])
		history, err := wakurest.NewHistory(wakurest.Options{URL: url, PubsubTopic: pubsub})
		if err != nil {
			return nil, err
		}
		options.History = history
	}
	return orNil(wakurelay.Open(options))
}

// orNil keeps a nil pointer out of an interface.
func orNil[C carrier.Carrier](c C, err error) (carrier.Carrier, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// flag reads an option that is true or false.
func (s transportSpec) flag(name string) (bool, error) {
	switch value := s.option(name); value {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	default:
		return false, fmt.Errorf("%w: %s=%s: true or false", carrier.ErrOptions, name, value)
	}
}

// numbers reads the numbers of clusters and shards.
func (s transportSpec) numbers(name string) ([]uint16, error) {
	var numbers []uint16
	for _, value := range s.all(name) {
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%w: %s=%s: a number up to 65535", carrier.ErrOptions, name, value)
		}
		numbers = append(numbers, uint16(n))
	}
	return numbers, nil
}

// errOffline: the command was given no network.
var errOffline = errors.New("no --transport was given")

// offline is the network of commands that need none: it takes nothing, so that what
// is to be published waits in the store.
type offline struct{}

var _ transport.Transport = offline{}

// Publish implements transport.Transport.
func (offline) Publish(_ transport.Envelope, accepted func(error)) { accepted(errOffline) }

// Subscribe implements transport.Transport.
func (offline) Subscribe(transport.Topic, transport.Deliver) (func(), error) { return func() {}, nil }

// Forget implements transport.Transport: it keeps nothing.
func (offline) Forget(context.Context, x3dh.IdentityPublicKey) error { return nil }

// Host implements transport.Transport.
func (offline) Host(*x3dh.IdentityKey) (func(), error) { return func() {}, nil }

// Close implements transport.Transport.
func (offline) Close() error { return nil }
