package courier

import (
	"slices"

	"github.com/rookery-im/rookery/transport"
	"github.com/rookery-im/rookery/transport/carrier"
	"github.com/rookery-im/rookery/transport/topic"
	"github.com/rookery-im/rookery/x3dh"
)

// route is one way on which envelopes come to a subscribed topic: a content topic,
// and what opens envelopes there. A personal topic has several.
type route struct {
	id      id
	logical transport.Topic // "" while nobody has subscribed
	kind    topic.Kind
	content carrier.Topic
	wire    topic.Topic
	// name gives the key of a symmetric one. That of a negotiated one is secret and
	// stays with the identity, see hosted.
	name   topic.Name
	digest topic.Digest // of the name, if symmetric
	// identity is whose key opens, or whose contact code it is.
	identity x3dh.IdentityPublicKey
	peer     x3dh.IdentityPublicKey // of a negotiated one
	used     uint64                 // of a negotiated one: when last, see subscription
	proven   bool                   // of a negotiated one: the peer uses it
	ready    chan struct{}          // closed when it is live and known to the store; nil if nobody waits

	group *group // while its history is read
	queue queue

	progress
}

func (r *route) setTopic(t topic.Topic) {
	r.wire, r.content = t, carrier.Topic(t.ContentTopic())
}

// newRoute is that of a name.
func newRoute(logical transport.Topic, name topic.Name, identity x3dh.IdentityPublicKey) *route {
	r := &route{logical: logical, kind: name.Kind(), identity: identity}
	digest := name.Digest()
	r.id = routeID(string(logical), byte(r.kind), digest)
	if r.kind.Symmetric() {
		r.digest = digest
		if r.kind != topic.KindNegotiated {
			r.name = name
		}
	}
	r.setTopic(name.Topic())
	return r
}

// routesOf are the routes of a topic that need no secret.
func routesOf(logical transport.Topic) (transport.Address, []*route, error) {
	address, err := logical.Address()
	if err != nil {
		return address, nil, err
	}
	var names []topic.Name
	switch address.Kind {
	case transport.KindPersonal:
		personal, err := topic.Personal(address.Identity)
		if err != nil {
			return address, nil, err
		}
		names = []topic.Name{topic.Partitioned(address.Identity), personal}
	case transport.KindContactCode:
		code, err := topic.ContactCode(address.Identity)
		if err != nil {
			return address, nil, err
		}
		names = []topic.Name{code}
	case transport.KindPublic:
		chat, err := topic.PublicChat(address.Chat)
		if err != nil {
			return address, nil, err
		}
		names = []topic.Name{chat}
	}
	routes := make([]*route, 0, len(names))
	for _, name := range names {
		routes = append(routes, newRoute(logical, name, address.Identity))
	}
	return address, routes, nil
}

// subscription is a logical topic that is listened to.
type subscription struct {
	topic       transport.Topic
	address     transport.Address
	subscribers []*subscriber // never changed in place
	routes      []*route
	negotiated  map[x3dh.IdentityPublicKey]*route // those of routes
	uses        uint64
	// What its subscribers have refused and will be given again.
	refused      int
	refusedBytes int
	retried      int // envelopes that were refused and are not dealt with
}

// leastWanted is the negotiated route that goes when there are too many: peers that
// have never used theirs come first, and then those that were used longest ago.
func (s *subscription) leastWanted() *route {
	var least *route
	for _, r := range s.negotiated {
		if least == nil || !r.proven && least.proven || r.proven == least.proven && r.used < least.used {
			least = r
		}
	}
	return least
}

// table says which routes use a content topic. It counts them: the carrier is
// subscribed to what has at least one.
type table struct {
	routes map[carrier.Topic][]*route // never changed in place
}

func (t *table) add(r *route) {
	t.routes[r.content] = append(slices.Clip(t.routes[r.content]), r)
}

func (t *table) remove(r *route) {
	rest := slices.DeleteFunc(slices.Clone(t.routes[r.content]), func(other *route) bool { return other == r })
	if len(rest) == 0 {
		delete(t.routes, r.content)
		return
	}
	t.routes[r.content] = rest
}

func (t *table) on(content carrier.Topic) []*route { return t.routes[content] }
