package deviceactor

import (
	"sync"

	"github.com/rookery-im/rookery/x3dh"
)

// Outboxes knows of which contacts of one identity the outbox is empty, so that who
// comes back to memory need not look. It outlives their stay there. The zero value, and
// nil, know nothing: everybody looks. Safe for concurrent use.
type Outboxes struct {
	mu    sync.Mutex
	known bool
	used  map[x3dh.IdentityPublicKey]struct{} // those that may not be empty
}

// Know says that these are all contacts with messages in the outbox, and that nobody but
// the actors of the contacts writes there from now on.
func (o *Outboxes) Know(contacts []x3dh.IdentityPublicKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known = true
	for _, c := range contacts {
		o.note(c)
	}
}

func (o *Outboxes) note(contact x3dh.IdentityPublicKey) {
	if o.used == nil {
		o.used = make(map[x3dh.IdentityPublicKey]struct{})
	}
	o.used[contact] = struct{}{}
}

// enter tells whether the outbox of a contact is empty, which from now on it may not be.
func (o *Outboxes) enter(contact x3dh.IdentityPublicKey) (empty bool) {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.known {
		return false
	}
	_, used := o.used[contact]
	o.note(contact)
	return !used
}

// leave says that a contact leaves memory with an empty outbox.
func (o *Outboxes) leave(contact x3dh.IdentityPublicKey) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if delete(o.used, contact); len(o.used) == 0 {
		o.used = nil // a map keeps its room, and there are many of these
	}
}
