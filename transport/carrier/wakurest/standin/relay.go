package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

var (
	errNotRelaying = errors.New("not subscribed")
	errFewPeers    = errors.New("not enough peers to publish")
	errTooLarge    = errors.New("message size exceeded")
)

// publish hands a message of its user to the network.
func (n *Node) publish(m *message) error {
	peers, _ := n.net.relaying(m.pubsub, n)
	switch {
	case !n.relays(m.pubsub):
		return errNotRelaying
	case m.size > n.maxSize():
		return errTooLarge
	case peers < n.o.MinPeers:
		return errFewPeers
	}
	n.net.spread(m)
	return nil
}

func (n *Node) publishRelay(q *request) answer {
	if n.isHung() {
		return answer{hang: true}
	}
	pubsub := q.parts[3]
	if n.o.Flavour == Nwaku && !n.relays(pubsub) {
		return n.text(http.StatusBadRequest, "Failed to publish: Node not subscribed to topic: "+pubsub)
	}
	m, err := n.parse(q.body, pubsub)
	if err != nil {
		return n.text(http.StatusBadRequest, err.Error())
	}
	switch err := n.publish(m); {
	case err == nil:
		return n.done()
	case n.o.Flavour == GoWaku:
		return n.empty()
	case errors.Is(err, errTooLarge):
		return n.text(http.StatusBadRequest, fmt.Sprintf("Failed to publish: Message size exceeded maximum of %d bytes", nwakuMaxSize))
	default:
		return n.text(http.StatusBadRequest, "Failed to publish: NoPeersToPublish")
	}
}

func (n *Node) shards(q *request) ([]string, error) {
	var shards []string
	err := json.Unmarshal(q.body, &shards)
	return shards, err
}

func (n *Node) subscribeRelay(q *request) answer {
	if n.isHung() {
		return answer{hang: true}
	}
	shards, err := n.shards(q)
	if err != nil {
		return n.text(http.StatusBadRequest, err.Error())
	}
	if n.o.Light {
		return n.text(http.StatusNotFound, "404 page not found\n")
	}
	for _, shard := range shards {
		if n.o.Flavour == Nwaku {
			n.relayed.subscribe(shard)
		} else {
			n.buffers[shard] = append(n.buffers[shard], new(buffer))
		}
	}
	return n.done()
}

// unsubscribeRelay: the second time is the last thing that a go-waku node does.
func (n *Node) unsubscribeRelay(q *request) answer {
	n.allDeletes++
	if n.isHung() {
		return answer{hang: true}
	}
	shards, err := n.shards(q)
	if err != nil {
		return n.text(http.StatusBadRequest, err.Error())
	}
	if n.deletes++; n.isHung() {
		return answer{hang: true}
	}
	for _, shard := range shards {
		n.relayed.unsubscribe(shard)
		delete(n.buffers, shard)
	}
	n.process()
	return n.done()
}

func (n *Node) isHung() bool { return n.o.Flavour == GoWaku && n.deletes >= deadlyDeletes }

func (n *Node) readRelay(q *request) answer {
	if n.isHung() {
		return answer{hang: true}
	}
	shard := q.parts[3]
	if n.o.Flavour == Nwaku {
		if !n.relayed.has(shard) {
			return n.text(http.StatusNotFound, "")
		}
		return n.json(http.StatusOK, n.written(n.relayed.take(shard)))
	}
	of := n.buffers[shard]
	if len(of) == 0 {
		return n.text(http.StatusNotFound, "no subscription found for pubsubTopic")
	}
	n.turn++
	b := of[n.turn%len(of)] // any of them
	var taken []*message
	for len(b.messages) > 0 && len(taken) <= gowakuCapacity {
		taken = append(taken, b.messages[0])
		b.messages = b.messages[1:]
		n.process()
	}
	return n.json(http.StatusOK, n.written(taken))
}

// postAuto and readAuto are of shards that nobody else is in.
func (n *Node) postAuto(q *request) answer {
	if q.parts[3] == "subscriptions" {
		return n.done()
	}
	return n.text(http.StatusBadRequest, errFewPeers.Error())
}

func (n *Node) readAuto(*request) answer { return n.json(http.StatusOK, n.written(nil)) }
