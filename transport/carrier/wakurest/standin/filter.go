package standin

import (
	"encoding/json"
	"net/http"
)

type filterRequest struct {
	RequestID      string   `json:"requestId"`
	ContentFilters []string `json:"contentFilters"`
	PubsubTopic    string   `json:"pubsubTopic"`
}

func (n *Node) filtered(status int, q *filterRequest, desc string) answer {
	return n.json(status, struct {
		RequestID  string `json:"requestId"`
		StatusDesc string `json:"statusDesc"`
	}{q.RequestID, desc})
}

func (n *Node) filterRequest(q *request) (*filterRequest, answer, bool) {
	in := new(filterRequest)
	if err := json.Unmarshal(q.body, in); err != nil || (n.o.Flavour == Nwaku && in.RequestID == "") {
		if n.o.Flavour == Nwaku {
			in.RequestID = "unknown"
			return nil, n.filtered(http.StatusBadRequest, in, "BAD_REQUEST: Failed to decode request"), false
		}
		return nil, n.text(http.StatusBadRequest, ""), false
	}
	return in, answer{}, true
}

// accept takes a request of another node to gather topics for it.
func (n *Node) accept(other *Node, q *filterRequest) (status int, desc string) {
	of := n.served[other]
	switch {
	case len(q.ContentFilters) > filterPerRequest:
		return http.StatusBadRequest, "exceeds maximum content topics: 100"
	case of == nil && len(n.served) >= filterSubscribers:
		return http.StatusServiceUnavailable, "node has reached maximum number of subscriptions"
	case of == nil:
		of = make(map[string]bool)
		n.served[other] = of
	}
	added := 0
	for _, t := range q.ContentFilters {
		if !of[q.PubsubTopic+"\x00"+t] {
			added++
		}
	}
	if len(of)+added > n.o.FilterTopics {
		return http.StatusServiceUnavailable, "node has reached maximum number of subscriptions"
	}
	for _, t := range q.ContentFilters {
		of[q.PubsubTopic+"\x00"+t] = true
	}
	return http.StatusOK, "OK"
}

func (n *Node) subscribeFilter(q *request) answer {
	in, wrong, ok := n.filterRequest(q)
	if !ok {
		return wrong
	}
	_, service := n.net.relaying(in.PubsubTopic, n)
	if service == nil {
		if n.o.Flavour == Nwaku {
			return n.filtered(http.StatusServiceUnavailable, in, "SERVICE_UNAVAILABLE: No suitable service peer & none discovered")
		}
		return n.filtered(http.StatusBadRequest, in, "subscription failed")
	}
	if status, desc := service.accept(n, in); status != http.StatusOK {
		if n.o.Flavour == GoWaku {
			desc = "subscription failed"
		}
		return n.filtered(status, in, desc)
	}
	for _, t := range in.ContentFilters {
		if n.o.Flavour == Nwaku {
			n.filter.subscribe(t)
		} else if key := in.PubsubTopic + "\x00" + t; n.topics[key] == nil {
			n.topics[key] = new(buffer)
		}
	}
	return n.filtered(http.StatusOK, in, "OK")
}

func (n *Node) unsubscribeFilter(q *request) answer {
	in, wrong, ok := n.filterRequest(q)
	if !ok {
		return wrong
	}
	_, service := n.net.relaying(in.PubsubTopic, n)
	if service == nil {
		return n.filtered(http.StatusServiceUnavailable, in, "No suitable peers")
	}
	for _, t := range in.ContentFilters {
		key := in.PubsubTopic + "\x00" + t
		delete(service.served[n], key)
		delete(n.topics, key)
		n.filter.unsubscribe(t)
	}
	if len(service.served[n]) == 0 {
		delete(service.served, n)
	}
	return n.filtered(http.StatusOK, in, "OK")
}

func (n *Node) unsubscribeAllFilter(q *request) answer {
	in, wrong, ok := n.filterRequest(q)
	if !ok {
		return wrong
	}
	found := false
	for _, other := range n.net.nodes {
		found = found || other.served[n] != nil
		delete(other.served, n)
	}
	clear(n.topics)
	n.filter = new(cache)
	if !found {
		return n.filtered(http.StatusServiceUnavailable, in, "subscription not found")
	}
	return n.filtered(http.StatusOK, in, "OK")
}

// pingFilter: go-waku was seen to fail though it was subscribed.
func (n *Node) pingFilter(q *request) answer {
	in := &filterRequest{RequestID: q.parts[3]}
	if n.o.Flavour == GoWaku {
		return n.filtered(http.StatusInternalServerError, in, "ping request failed")
	}
	for _, other := range n.net.nodes {
		if other.served[n] != nil {
			return n.filtered(http.StatusOK, in, "OK")
		}
	}
	return n.filtered(http.StatusNotFound, in, "NOT_FOUND: peer has no subscriptions")
}

// readFilter: the topic alone means a shard of its own choice to go-waku.
func (n *Node) readFilter(q *request) answer {
	topic := q.parts[len(q.parts)-1]
	if n.o.Flavour == Nwaku {
		if !n.filter.has(topic) {
			return n.text(http.StatusBadRequest, "Not subscribed to topic: "+topic)
		}
		return n.json(http.StatusOK, n.written(n.filter.take(topic)))
	}
	shard := "/waku/2/rs/1/4"
	if len(q.parts) == 5 {
		shard = q.parts[3]
	}
	b := n.topics[shard+"\x00"+topic]
	if b == nil {
		return n.text(http.StatusNotFound, "not subscribed to pubsubTopic:"+shard+" contentTopic: "+topic)
	}
	taken := b.messages
	b.messages = nil
	list := make([]gowakuFields, len(taken))
	for i, m := range taken {
		list[i] = m.gowaku()
	}
	return n.json(http.StatusOK, list)
}

// pushed is what both versions of lightpush ask for.
func (n *Node) pushed(q *request) (*message, answer, bool) {
	var in struct {
		PubsubTopic string          `json:"pubsubTopic"`
		Message     json.RawMessage `json:"message"`
	}
	if err := json.Unmarshal(q.body, &in); err != nil {
		return nil, n.text(http.StatusBadRequest, errUndecodable.Error()), false
	}
	if len(in.Message) == 0 {
		if n.o.Flavour == Nwaku {
			return nil, n.text(http.StatusBadRequest, errUndecodable.Error()), false
		}
		return nil, n.text(http.StatusBadRequest, errNoMessage.Error()), false
	}
	m, err := n.parse(in.Message, in.PubsubTopic)
	if err != nil {
		return nil, n.text(http.StatusBadRequest, err.Error()), false
	}
	return m, answer{}, true
}

func (n *Node) push(q *request) answer {
	m, wrong, ok := n.pushed(q)
	if !ok {
		return wrong
	}
	_, service := n.net.relaying(m.pubsub, n)
	if service == nil {
		if n.o.Flavour == Nwaku {
			return n.text(http.StatusServiceUnavailable, "No suitable service peer & none discovered")
		}
		return n.text(http.StatusServiceUnavailable, "no suitable remote peers")
	}
	if err := service.publish(m); err != nil {
		if n.o.Flavour == Nwaku {
			return n.text(http.StatusServiceUnavailable, "Failed to request a message push: "+err.Error())
		}
		return n.text(http.StatusServiceUnavailable, err.Error())
	}
	return n.done()
}

func (n *Node) pushThird(q *request) answer {
	refuse := func(status int, desc string) answer {
		return n.json(status, map[string]string{"statusDesc": desc})
	}
	m, wrong, ok := n.pushed(q)
	if !ok {
		return wrong
	}
	_, service := n.net.relaying(m.pubsub, n)
	switch {
	case service == nil:
		return n.text(http.StatusServiceUnavailable, "No suitable service peer & none discovered")
	case m.size > service.maxSize():
		return refuse(http.StatusRequestEntityTooLarge, "Message size exceeded")
	}
	if err := service.publish(m); err != nil {
		return refuse(http.StatusHTTPVersionNotSupported, "No peers for topic, skipping publish") // 505 in lightpush
	}
	peers, _ := n.net.relaying(m.pubsub, service)
	return n.json(http.StatusOK, map[string]int{"relayPeerCount": max(peers, 1)})
}
