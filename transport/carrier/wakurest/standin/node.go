package standin

import (
	"net/http"
	"slices"
	"time"
)

// Flavour is a kind of node.
type Flavour uint8

// The kinds of node.
const (
	GoWaku Flavour = iota
	Nwaku
)

func (f Flavour) String() string { return [...]string{"go-waku", "nwaku"}[f] }

// Options are how a node is started. The zero value is a go-waku node that relays
// what it is subscribed to, and keeps it.
type Options struct {
	Flavour Flavour
	// Light nodes do not relay; they ask others.
	Light bool
	// NoStore: it keeps no history.
	NoStore bool
	// Shards are relayed from the start, besides what is subscribed by REST.
	Shards []string
	// Address is what others find it by (a multiaddr).
	Address string
	// MinPeers is how many others there have to be for a message to be published.
	MinPeers int
	// FilterTopics is how many topics it gathers for one other (1000 if 0).
	FilterTopics int
	// Now is its clock (time.Now if nil).
	Now func() time.Time
}

const (
	gowakuCapacity       = 1000
	nwakuCapacity        = 50
	gowakuFilterCapacity = 30
	gowakuMaxSize        = 150_000
	nwakuMaxSize         = 150 << 10
	filterSubscribers    = 20
	filterPerRequest     = 100
	// inboxCapacity is how much waits for a node that is blocked; more is lost.
	inboxCapacity = 4096
	// deadlyDeletes is how many times a go-waku node can be unsubscribed in its life.
	deadlyDeletes = 2
)

// Node is a node.
type Node struct {
	net *Network
	o   Options

	// Of one life.
	buffers map[string][]*buffer // go-waku: one for each time a shard was subscribed
	relayed *cache               // nwaku
	filter  *cache               // nwaku
	topics  map[string]*buffer   // go-waku: what filter gathers, by shard and topic
	served  map[*Node]map[string]bool
	inbox   []*message
	gossip  map[[32]byte]bool
	deletes int
	hung    chan struct{} // closed by a restart
	turn    int

	// Of all lives.
	archive    archive
	down       bool
	fault      func(*http.Request) *Fault
	lie        Lie
	lost       int
	allDeletes int
}

// Node starts a node.
func (net *Network) Node(o Options) *Node {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FilterTopics == 0 {
		o.FilterTopics = 1000
	}
	n := &Node{net: net, o: o}
	n.born()
	net.mu.Lock()
	defer net.mu.Unlock()
	net.nodes = append(net.nodes, n)
	return n
}

func (n *Node) born() {
	n.buffers = make(map[string][]*buffer)
	n.relayed, n.filter = new(cache), new(cache)
	n.topics = make(map[string]*buffer)
	n.served = make(map[*Node]map[string]bool)
	n.inbox, n.gossip = nil, make(map[[32]byte]bool)
	n.deletes, n.hung = 0, make(chan struct{})
}

// Restart ends a node's life and begins another: subscriptions and what was gathered
// are gone, the store is not.
func (n *Node) Restart() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	close(n.hung)
	n.born()
}

// Cut makes the REST interface unreachable, or reachable again. The node goes on.
func (n *Node) Cut(down bool) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.down = down
}

// Lie makes a node give wrong answers about its history, until Honest.
func (n *Node) Lie(l Lie) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	n.lie = l
}

// Subscriptions tells how often a shard was subscribed in this life of a go-waku node.
func (n *Node) Subscriptions(pubsub string) int {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return len(n.buffers[pubsub])
}

// Deletes tells how often anybody has taken back a subscription of a shard.
func (n *Node) Deletes() int {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return n.allDeletes
}

// Serves tells how many topics this node gathers for others.
func (n *Node) Serves() (topics int) {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	for _, of := range n.served {
		topics += len(of)
	}
	return topics
}

// ForgetServed makes a node forget for whom it gathers, as if it had been restarted.
func (n *Node) ForgetServed() {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	clear(n.served)
}

// Blocked tells whether a node waits for somebody to read.
func (n *Node) Blocked() bool {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return n.blocked()
}

// Stored tells how many messages a node keeps.
func (n *Node) Stored() int {
	n.net.mu.Lock()
	defer n.net.mu.Unlock()
	return len(n.archive.rows)
}

func (n *Node) subscribed(pubsub string) bool {
	return len(n.buffers[pubsub]) > 0 || n.relayed.has(pubsub)
}

func (n *Node) relays(pubsub string) bool {
	return !n.o.Light && (n.subscribed(pubsub) || slices.Contains(n.o.Shards, pubsub))
}

func (n *Node) maxSize() int {
	if n.o.Flavour == Nwaku {
		return nwakuMaxSize
	}
	return gowakuMaxSize
}

// arrive takes a message from the network, or from its own user.
func (n *Node) arrive(m *message) {
	if n.gossip[m.gossip] {
		return
	}
	n.gossip[m.gossip] = true
	if len(n.inbox) >= inboxCapacity {
		n.lost++
		return
	}
	n.inbox = append(n.inbox, m)
	n.process()
}

// blocked: one full buffer holds up everything that a go-waku node does.
func (n *Node) blocked() bool {
	for _, of := range n.buffers {
		for _, b := range of {
			if len(b.messages) > gowakuCapacity {
				return true
			}
		}
	}
	return false
}

func (n *Node) process() {
	for len(n.inbox) > 0 && !n.blocked() {
		m := n.inbox[0]
		n.inbox = n.inbox[1:]
		for _, b := range n.buffers[m.pubsub] {
			b.messages = append(b.messages, m)
		}
		n.relayed.add(m)
		n.store(m)
		if n.o.Flavour == GoWaku {
			n.gather(m) // its filter sees what it relays, too
		}
		for other, topics := range n.served {
			if topics[m.pubsub+"\x00"+m.topic] {
				other.gather(m)
			}
		}
	}
}

func (n *Node) store(m *message) {
	if n.o.NoStore || m.isEphemeral() {
		return
	}
	now := n.o.Now()
	if n.o.Flavour == Nwaku && now.Sub(time.Unix(0, m.time())).Abs() > 20*time.Second {
		return
	}
	n.archive.put(m, now)
}

// gather takes what filter has asked others for.
func (n *Node) gather(m *message) {
	n.filter.add(m)
	if b := n.topics[m.pubsub+"\x00"+m.topic]; b != nil {
		if len(b.messages) >= gowakuFilterCapacity {
			b.messages = b.messages[1:]
		}
		b.messages = append(b.messages, m)
	}
}
