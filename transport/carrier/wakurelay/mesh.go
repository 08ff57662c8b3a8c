package wakurelay

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// settling is how many heartbeats a mesh has to hold before it counts: a peer that was
// grafted may refuse, and does not send before it has heard of it.
const settling = 2

// meshes is who takes part in which shard. The router tells it what happens, in its
// own goroutine; others ask.
type meshes struct {
	least  int
	after  time.Duration         // how long a mesh has to hold
	missed func(since time.Time) // messages of a shard since then are missing

	mu     sync.Mutex
	shards map[string]*shard
	ready  bool
	since  time.Time // of ready
	closed bool
}

// shard is one pubsub topic.
type shard struct {
	subscribed map[peer.ID]struct{} // who has said to take part
	mesh       map[peer.ID]struct{} // of these, with whom messages are exchanged as they come
	heard      time.Time            // when one of the mesh has said something
	lost       time.Time            // since when messages may be missing, while not steady
	steady     bool
	timer      *time.Timer // while it may become steady
	tries      int         // how many timers there were
}

func newMeshes(topics []string, least int, after time.Duration, missed func(time.Time)) *meshes {
	now := time.Now()
	m := &meshes{least: least, after: after, missed: missed, shards: make(map[string]*shard), since: now}
	for _, topic := range topics {
		m.shards[topic] = &shard{subscribed: make(map[peer.ID]struct{}), mesh: make(map[peer.ID]struct{}), lost: now}
	}
	return m
}

// hear notes that a peer has said something.
func (m *meshes) hear(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.shards {
		if _, ok := s.mesh[p]; ok {
			s.heard = time.Now()
		}
	}
}

func (m *meshes) subscribe(p peer.ID, topic string, takesPart bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shards[topic]
	switch {
	case s == nil:
	case takesPart:
		s.subscribed[p] = struct{}{}
	default:
		delete(s.subscribed, p)
	}
}

func (m *meshes) graft(p peer.ID, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shards[topic]; s != nil {
		if len(s.mesh) == 0 {
			s.heard = time.Now()
		}
		s.mesh[p] = struct{}{}
		m.judge(s)
	}
}

func (m *meshes) prune(p peer.ID, topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.shards[topic]; s != nil {
		delete(s.mesh, p)
		m.judge(s)
	}
}

// remove is for a peer that is gone.
func (m *meshes) remove(p peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.shards {
		delete(s.subscribed, p)
		delete(s.mesh, p)
		m.judge(s)
	}
}

// judge looks whether a shard is steady after a change.
func (m *meshes) judge(s *shard) {
	enough := len(s.mesh) >= m.least
	switch {
	case enough && !s.steady && s.timer == nil && !m.closed:
		s.tries++
		try := s.tries
		s.timer = time.AfterFunc(m.after, func() { m.hold(s, try) })
	case !enough && s.timer != nil:
		s.timer.Stop()
		s.timer = nil
	case !enough && s.steady:
		// A peer that is cut off is silent before it is known to be gone.
		s.steady, s.lost = false, s.heard
		m.count()
	}
}

// hold makes a shard steady whose mesh has held since the timer was set.
func (m *meshes) hold(s *shard, try int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.timer == nil || s.tries != try {
		return
	}
	s.timer, s.steady = nil, true
	m.count()
	m.missed(s.lost)
}

// count says whether the whole is ready.
func (m *meshes) count() {
	ready := !m.closed
	for _, s := range m.shards {
		ready = ready && s.steady
	}
	if ready != m.ready {
		m.ready, m.since = ready, time.Now()
	}
}

// takingPart is who can be handed a message of a shard.
func (m *meshes) takingPart(topic string) []peer.ID {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shards[topic]
	all := make([]peer.ID, 0, len(s.subscribed))
	for p := range s.subscribed {
		all = append(all, p)
	}
	return all
}

// knows tells whether a peer takes part in any shard.
func (m *meshes) knows(p peer.ID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.shards {
		if _, ok := s.subscribed[p]; ok {
			return true
		}
	}
	return false
}

// health tells whether there are enough peers in each mesh, since when that is so, and
// how many peers there are in all.
func (m *meshes) health() (ready bool, since time.Time, peers int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[peer.ID]struct{})
	for _, s := range m.shards {
		for p := range s.mesh {
			all[p] = struct{}{}
		}
	}
	return m.ready, m.since, len(all)
}

func (m *meshes) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	for _, s := range m.shards {
		if s.timer != nil {
			s.timer.Stop()
			s.timer = nil
		}
	}
	m.count()
}
