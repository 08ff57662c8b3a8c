package deviceactor

import (
	"sync"

	"github.com/rookery-im/rookery/sessionactor"
)

// handovers are the Handover of each session actor of a contact. A session
// looks its own up when it starts; the lock is the contact's own and is never
// taken while a message is handled by a session.
type handovers struct {
	mu sync.Mutex
	by []*handover // few, and mostly one
}

type handover struct {
	installation string
	sessionactor.Handover
}

// maxSessionActors bounds the installations of one contact that were given a
// session actor since the contact was started, invented ones included.
const maxSessionActors = 4 * maxInstallations

func (h *handovers) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.by)
}

func (h *handovers) of(installation string) *sessionactor.Handover {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, one := range h.by {
		if one.installation == installation {
			return &one.Handover
		}
	}
	one := &handover{installation: installation}
	h.by = append(h.by, one)
	return &one.Handover
}
