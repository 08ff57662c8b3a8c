package main

import (
	"os"
	"sync"
)

// hook is a place in the child where it may be killed.
type hook string

const (
	beforeBatch    hook = "before batch"
	afterBatch     hook = "after batch"
	beforeCell     hook = "before cell" // the records are there, the anchor or the keyring is not
	beforePublish  hook = "before publish"
	afterPublish   hook = "after publish"    // the network has it, the engine does not know yet
	beforeAck      hook = "before ack"       // the handler was told
	afterAck       hook = "after ack"        // which is not durable yet, or just so
	beforeHandOver hook = "before hand-over" // of a direct message that was made
	afterHandOver  hook = "after hand-over"
)

var hooks = []hook{beforeBatch, afterBatch, beforeCell, beforePublish, afterPublish, beforeAck, afterAck, beforeHandOver, afterHandOver}

// trap kills the process when it passes a hook for the n-th time. Safe for
// concurrent use.
type trap struct {
	tell func(frame)

	mu   sync.Mutex
	hook hook
	left int
}

// pass does not return from the pass that is the last.
func (t *trap) pass(at hook) {
	t.mu.Lock()
	if at != t.hook {
		t.mu.Unlock()
		return
	}
	t.left--
	last := t.left == 0
	t.mu.Unlock()
	if !last {
		return
	}
	t.tell(frame{Kind: isDying, Text: string(at)})
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // the signal has no more than to arrive
}
