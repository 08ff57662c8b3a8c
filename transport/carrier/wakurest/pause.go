package wakurest

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// sleep waits, for a shorter time if the context ends or wake has something.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-wake:
	}
}

// backoff are pauses that grow.
type backoff struct {
	least, most time.Duration
	next        time.Duration
}

// failed gives the pause after one more failure. Many who have failed together do
// not come back together.
func (b *backoff) failed() time.Duration {
	b.next = min(max(b.next*2, b.least), b.most)
	var dice [2]byte
	_, _ = rand.Read(dice[:]) // does not fail
	half := b.next / 2
	return half + time.Duration(binary.BigEndian.Uint16(dice[:]))*half>>16
}

func (b *backoff) worked() { b.next = 0 }

// pace are the pauses between two reads: shorter the more there is to read.
type pace struct {
	least, most time.Duration
	now         time.Duration
}

// read gives the pause after a read of some messages from a cache of a capacity.
func (p *pace) read(messages, capacity int) time.Duration {
	switch {
	case messages >= capacity/4:
		p.now = p.least
		return 0
	case messages > 0:
		p.now = max(p.now/2, p.least)
	default:
		p.now = min(max(p.now+p.now/2, p.least), p.most)
	}
	return p.now
}

// limit is how fast messages are published.
type limit struct {
	every time.Duration // per message, 0: no limit
	burst int

	mu    sync.Mutex
	next  time.Time // when there is room for one more
	until time.Time // the node wants nothing before that
}

func newLimit(rate float64, burst int) *limit {
	l := &limit{burst: burst}
	if rate > 0 {
		l.every = time.Duration(float64(time.Second) / rate)
	}
	return l
}

// wait waits for the turn of one message.
func (l *limit) wait(ctx context.Context) {
	if d := l.reserve(time.Now()); d > 0 {
		sleep(ctx, d, nil)
	}
}

// reserve takes a turn and tells how long it is until then.
func (l *limit) reserve(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	turn := now
	if l.every > 0 {
		if full := now.Add(-time.Duration(l.burst-1) * l.every); l.next.Before(full) {
			l.next = full
		}
		turn = l.next
		l.next = l.next.Add(l.every)
	}
	if turn.Before(l.until) {
		turn = l.until
	}
	return turn.Sub(now)
}

// hold lets nothing be published for a while.
func (l *limit) hold(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.until) {
		l.until = until
	}
}
