package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/carrier/wakurelay"
	"github.com/rookery-im/rookery/transport/carrier/wakurest"
	"github.com/rookery-im/rookery/transport/carrier/wakurest/standin"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

func openWaku(r *reach) (carrier.Carrier, error) {
	history, err := wakurest.NewHistory(wakurest.Options{URL: "http://" + r.History})
	if err != nil {
		return nil, err
	}
	c, err := wakurelay.Open(wakurelay.Options{Peers: []string{r.Address}, History: history})
	if err != nil {
		return nil, err // and no nil *wakurelay.Carrier in an interface
	}
	return c, nil
}

// hub is the rest of a Waku network: a relay peer that both sides are connected
// with, and that writes down what it has relayed, as the nodes of a network write
// into the database of their stores. What it has taken is not lost: it stays for as
// long as the network does.
type hub struct {
	carrier *wakurelay.Carrier

	mu   sync.Mutex
	file *os.File
	err  error // that of a write
}

// openHub starts the peer. It relays everything, and writes down what is on the
// topics of the two.
func openHub(ctx context.Context, dir string, keys [sides]x3dh.IdentityKey) (h *hub, address string, err error) {
	topics, err := topicsOf(&keys)
	if err != nil {
		return nil, "", err
	}
	h = new(hub)
	if h.file, err = os.OpenFile(archiveIn(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, "", err
	}
	if h.carrier, err = wakurelay.Open(wakurelay.Options{}); err != nil {
		return nil, "", errors.Join(err, h.file.Close())
	}
	h.carrier.Receive(h)
	addresses := h.carrier.Addresses()
	if len(addresses) == 0 {
		err = errors.New("the relay peer listens nowhere")
	} else {
		err = h.carrier.Subscribe(ctx, topics...)
	}
	if err != nil {
		return nil, "", errors.Join(err, h.close())
	}
	return h, addresses[0], nil
}

// topicsOf are the content topics on which the two find and write to each other.
func topicsOf(keys *[sides]x3dh.IdentityKey) ([]carrier.Topic, error) {
	var names []topic.Name
	for s := range keys {
		code, err := topic.ContactCode(keys[s].Public())
		if err != nil {
			return nil, err
		}
		names = append(names, code, topic.Partitioned(keys[s].Public()))
	}
	negotiated, err := topic.Negotiated(&keys[alice], keys[bob].Public())
	if err != nil {
		return nil, err
	}
	var topics []carrier.Topic
	for _, name := range append(names, negotiated) {
		topics = append(topics, carrier.Topic(name.Topic().ContentTopic()))
	}
	return topics, nil
}

// Deliver implements carrier.Receiver.
func (h *hub) Deliver(r carrier.Received) {
	if r.Ephemeral {
		return
	}
	line, err := json.Marshal(standin.Message{
		PubsubTopic: wakurest.PubsubTopic, ContentTopic: string(r.Topic), Payload: r.Payload, Time: r.Time,
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		_, err = h.file.Write(append(line, '\n'))
	}
	if err != nil && h.err == nil {
		h.err = err
	}
}

// Gap implements carrier.Receiver. The hub is between the two, and hears of gaps
// when neither of them lives.
func (h *hub) Gap(int64) {}

// close ends the peer. Its error is also that of what could not be written down.
func (h *hub) close() error {
	err := h.carrier.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	return errors.Join(err, h.err, h.file.Close())
}

func archiveIn(dir string) string { return filepath.Join(dir, "archive.jsonl") }

// serveHistory runs the REST interface of a store over the archive, at an address
// that it had before or at a new one, until the process ends.
func serveHistory(dir, before string) (address string, err error) {
	at := "127.0.0.1:0"
	if before != "" {
		at = before
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
	if err != nil {
		return "", err
	}
	a, err := openArchive(dir)
	if err != nil {
		return "", errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }() // who asks hears of its end
	return listener.Addr().String(), nil
}

// archive is a store that keeps what the hub writes down.
type archive struct {
	node *standin.Node
	rest http.Handler

	mu   sync.Mutex
	file *os.File
	read int64 // bytes of whole lines
}

func openArchive(dir string) (*archive, error) {
	file, err := os.Open(archiveIn(dir))
	if err != nil {
		return nil, err
	}
	node := standin.NewNetwork().Node(standin.Options{Flavour: standin.Nwaku})
	return &archive{node: node, rest: node.Handler(), file: file}, nil
}

// ServeHTTP implements http.Handler. What was relayed before a question is part of
// the answer.
func (a *archive) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := a.catchUp(); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	a.rest.ServeHTTP(w, r)
}

// catchUp reads what was written down since.
func (a *archive) catchUp() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.file.Seek(a.read, io.SeekStart); err != nil {
		return err
	}
	var messages []standin.Message
	for lines := bufio.NewReader(a.file); ; {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // half a line is whole the next time
		}
		if err != nil {
			return err
		}
		var m standin.Message
		if err := json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &m); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		messages = append(messages, m)
		a.read += int64(len(line))
	}
	a.node.Keep(messages...)
	return nil
}
