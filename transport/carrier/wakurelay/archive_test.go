package wakurelay

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/transport/carrier"
)

// quick is the pace of tests. What ends a connection, or lets one in again, is as slow
// as elsewhere: a machine that is busy with other things must not bring it about.
var quick = pace{
	heartbeat:  30 * time.Millisecond,
	firstRetry: 20 * time.Millisecond,
	lastRetry:  200 * time.Millisecond,
	patience:   20 * time.Second,
	banned:     5 * time.Minute,
	uselessFor: time.Minute,
	scoreEvery: 100 * time.Millisecond,
}

// archive is a node of the network that keeps what it relays.
type archive struct {
	key    NodeKey
	listen string

	mu   sync.Mutex
	kept []carrier.Received
	at   int64

	node *node
	end  context.CancelFunc
}

func newArchive(t testing.TB) *archive {
	t.Helper()
	seed := make([]byte, 32)
	copy(seed, nextIP())
	key, err := Ed25519Key(seed)
	if err != nil {
		t.Fatal(err)
	}
	a := &archive{key: key, listen: nextIP().String() + ":0"}
	a.start(t)
	t.Cleanup(func() { a.stop(t) })
	return a
}

// start starts the node, always at the same address.
func (a *archive) start(t testing.TB) {
	t.Helper()
	o, err := Options{Key: a.key, Listen: a.listen, pace: quick}.settle()
	if err != nil {
		t.Fatal(err)
	}
	key, err := a.key.private()
	if err != nil {
		t.Fatal(err)
	}
	if a.node, err = newNode(key, o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.end = cancel
	a.node.SetStreamHandler(metadataProtocol, newIntroducer(a.node, o).answer)
	idle := newMeshes(o.topics, 1, time.Hour, func(time.Time) {})
	trace := &tracer{meshes: idle, delivered: a.take, dropped: func(*pubsub.Message) { t.Error("the archive has dropped a message") }}
	router, err := newRouter(ctx, a.node, o, trace, func(peer.ID, *pubsub.RPC) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := join(router, o.topics[0], func(_ context.Context, _ peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		decoded, err := waku.DecodeMessage(m.GetData())
		if err != nil {
			return pubsub.ValidationReject
		}
		m.ValidatorData = received(&decoded)
		return pubsub.ValidationAccept
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.node.listen(o.listen); err != nil {
		t.Fatal(err)
	}
	at, err := a.node.swarm.InterfaceListenAddresses()
	if err != nil {
		t.Fatal(err)
	}
	part := strings.Split(at[0].String(), "/")
	a.listen = net.JoinHostPort(part[2], part[4])
}

func (a *archive) stop(t testing.TB) {
	t.Helper()
	a.end()
	if err := a.node.Close(); err != nil {
		t.Error(err)
	}
}

func (a *archive) address() string {
	return a.node.Addrs()[0].String()
}

// wire lays a wire to the archive, and gives what to dial.
func (a *archive) wire(t testing.TB) (w *wire, peer string) {
	t.Helper()
	w = layWire(t, a.address())
	return w, w.address(a.node.ID().String())
}

func (a *archive) take(m *pubsub.Message) {
	message := m.ValidatorData.(carrier.Message)
	if message.Ephemeral {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = max(a.at+1, time.Now().UnixNano())
	a.kept = append(a.kept, carrier.Received{Message: message, At: a.at})
}

// through is the history as it is seen through a wire.
func (a *archive) through(w *wire) History { return window{a, w} }

type window struct {
	archive *archive
	wire    *wire
}

// page is how many messages are looked at in one piece.
const page = 100

// History implements History.
func (w window) History(ctx context.Context, topics []carrier.Topic, since, until int64, each func(carrier.Received) error) error {
	for from := 0; ; from += page {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !w.wire.isWhole() {
			return carrier.ErrUnreachable
		}
		w.archive.mu.Lock()
		part := w.archive.kept[min(from, len(w.archive.kept)):min(from+page, len(w.archive.kept))]
		w.archive.mu.Unlock()
		if len(part) == 0 {
			return nil
		}
		for _, r := range part {
			if r.At < since || r.At >= until || !slices.Contains(topics, r.Topic) {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := each(r); err != nil {
				return err
			}
		}
	}
}
