package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

// lookEvery is how often the folder is looked at.
const lookEvery = 50 * time.Millisecond

// folder is a carrier: bytes on topics, and a history. It knows nothing of identities
// and keys; the engine signs, encrypts, and tells repetitions.
type folder struct {
	dir     string
	end     context.CancelFunc
	watcher sync.WaitGroup

	mu     sync.Mutex
	closed bool
	since  time.Time // of health
	health error
}

var _ carrier.Carrier = (*folder)(nil)

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { //nolint:gosec // the folder that the user has named
		return nil, err
	}
	return &folder{dir: dir, end: func() {}, since: time.Now()}, nil
}

// Publish implements carrier.Carrier. A message is taken when its file has its name:
// whoever looks sees all of it or nothing.
func (f *folder) Publish(m carrier.Message, accepted func(error)) { accepted(f.write(m)) }

func (f *folder) write(m carrier.Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return carrier.ErrClosed
	}
	if len(m.Topic) == 0 || len(m.Topic) > carrier.MaxTopic || len(m.Payload) == 0 || len(m.Payload) > carrier.MaxPayload {
		return carrier.ErrMessage
	}
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	hash := m.Hash()
	name := filepath.Join(f.dir, fmt.Sprintf("%020d-%x", time.Now().UnixNano(), hash[:8]))
	if err := os.WriteFile(name+".part", content, 0o600); err != nil {
		return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	}
	return os.Rename(name+".part", name+suffix)
}

// suffix is that of whole messages.
const suffix = ".message"

// Receive implements carrier.Carrier: what is in the folder by now is the history.
func (f *folder) Receive(r carrier.Receiver) {
	ctx, end := context.WithCancel(context.Background())
	f.end = end
	known, err := f.names()
	f.set(err)
	f.watcher.Go(func() { f.watch(ctx, r, known) })
}

// watch hands up what is new. What it has not seen because the folder was away it sees
// when it is back, so that there is never a gap to tell.
func (f *folder) watch(ctx context.Context, r carrier.Receiver, known []string) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		names, err := f.names()
		f.set(err)
		if err != nil {
			continue
		}
		for _, name := range names {
			if _, old := slices.BinarySearch(known, name); old {
				continue
			}
			if m, err := f.read(name); err == nil {
				r.Deliver(m)
			}
		}
		known = names
	}
}

// names are those of the messages that are there, oldest first.
func (f *folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.dir) // sorted
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

func (f *folder) read(name string) (carrier.Received, error) {
	var m carrier.Received
	at, _, _ := strings.Cut(name, "-")
	place, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return m, err
	}
	content, err := os.ReadFile(filepath.Join(f.dir, name)) //nolint:gosec // a name that the folder has listed
	if err != nil {
		return m, err
	}
	m.At = place
	return m, json.Unmarshal(content, &m.Message)
}

// Subscribe implements carrier.Carrier: everything is handed up, which is allowed.
func (f *folder) Subscribe(ctx context.Context, _ ...carrier.Topic) error { return ctx.Err() }

// Unsubscribe implements carrier.Carrier.
func (f *folder) Unsubscribe(...carrier.Topic) {}

// History implements carrier.Carrier.
func (f *folder) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	names, err := f.names()
	if err != nil {
		return fmt.Errorf("%w: %w", carrier.ErrUnreachable, err)
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := f.read(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // somebody tidies up
			continue
		case err != nil:
			continue // no message: others may put anything here
		case m.At < since || m.At >= until || m.Ephemeral || !slices.Contains(topics, m.Topic):
			continue
		}
		if err := each(m); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if (err == nil) != (f.health == nil) {
		f.since = time.Now()
	}
	f.health = err
}

// Health implements carrier.Carrier.
func (f *folder) Health() carrier.Health {
	f.mu.Lock()
	defer f.mu.Unlock()
	return carrier.Health{Ready: f.health == nil && !f.closed, Peers: 1, Since: f.since, Err: f.health}
}

// Close implements carrier.Carrier.
func (f *folder) Close() error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.end()
	f.watcher.Wait()
	return nil
}
