package rookery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/persistence"
)

// MaxSendKey is how long the key of SendOnce may be, in bytes.
const MaxSendKey = 255

// SendOnce is Send under a key that the application has chosen: as often as it is
// called with the same key and contact, one message is sent, and each call that does
// not fail gives its receipt, also after a crash. The key is remembered for
// Options.KeepReceipts, and only of a message that is durable: after an error, whose
// cause has gone, the next call sends. A call that comes while another one under the
// same key is at work waits for it. One key to several contacts is a message to each.
// Beside the errors of Send: ErrSendKey, cause.ErrSendKeyUsed.
func (i *Identity) SendOnce(ctx context.Context, key string, to PublicKey, payload []byte) (Receipt, error) {
	if key == "" || len(key) > MaxSendKey {
		return Receipt{}, fmt.Errorf("%w: %d bytes", ErrSendKey, len(key))
	}
	once := deviceactor.NewOnce(key, payload)
	name := once.Name(i.owner, to)
	release, err := i.engine.underKey.acquire(ctx, name)
	if err != nil {
		return Receipt{}, err
	}
	kept, found, err := i.engine.keptReceipt(ctx, name)
	switch {
	case err != nil, found && !kept.Of(once):
		release()
		if err == nil {
			err = cause.ErrSendKeyUsed
		}
		return Receipt{}, err
	case found:
		release()
		return receiptOf(kept.Receipt), nil
	}
	r, err := i.send(ctx, to, payload, &once, release)
	i.unsentFor(ctx, err)
	return r, err
}

// SendGroupOnce is SendGroup with SendOnce for each member: called again with the same
// key, also after a crash, it sends to those who were not sent to.
func (i *Identity) SendGroupOnce(ctx context.Context, key string, members []PublicKey, payload []byte) []GroupReceipt {
	return i.sendEach(members, func(member PublicKey) (Receipt, error) { return i.SendOnce(ctx, key, member, payload) })
}

// keptReceipt looks for the receipt of a message, which is durable if it is found.
func (e *Engine) keptReceipt(ctx context.Context, name persistence.Name) (kept deviceactor.KeptReceipt, found bool, err error) {
	if err := e.accepting(); err != nil {
		return kept, false, err
	}
	value, err := e.committer.Get(ctx, name)
	if errors.Is(err, persistence.ErrNotFound) {
		return kept, false, nil
	}
	if err != nil {
		return kept, false, err
	}
	if kept, err = deviceactor.DecodeReceipt(value); err != nil {
		return kept, false, err
	}
	if e.expired(kept.Sent) {
		return kept, false, nil
	}
	if e.committer.Counts().Refused > 0 {
		// A commit that failed may show and not be durable. What shows is durable once
		// something later is.
		nobody := persistence.Record{Name: persistence.NewName(persistence.KindReceipt), Delete: true}
		if err := e.store.Apply(ctx, persistence.Batch{Records: []persistence.Record{nobody}}); err != nil {
			return kept, false, fmt.Errorf("%w: %w", deviceactor.ErrNotDurable, err)
		}
	}
	return kept, true, nil
}

func (e *Engine) expired(sent int64) bool {
	return time.Duration(e.options.Now().UnixNano()-sent) > e.options.KeepReceipts
}

// keyed are the messages under keys that are being sent: one at a time under each.
type keyed struct {
	mu   sync.Mutex
	busy map[persistence.Name]chan struct{} // closed when it is free
}

// acquire waits until nobody else is at work under the name.
func (k *keyed) acquire(ctx context.Context, name persistence.Name) (release func(), err error) {
	for {
		free, wait := k.try(name)
		if wait == nil {
			return free, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// try gives what frees the name again, or what is closed when another one does.
func (k *keyed) try(name persistence.Name) (release func(), wait <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if busy, ok := k.busy[name]; ok {
		return nil, busy
	}
	if k.busy == nil {
		k.busy = make(map[persistence.Name]chan struct{})
	}
	free := make(chan struct{})
	k.busy[name] = free
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.busy, name)
		close(free)
	}, nil
}

const (
	// receiptsEvery is how often receipts are looked for that have been kept long
	// enough, and receiptsPerSweep how many are looked at in one sweep.
	receiptsEvery    = time.Hour
	receiptsPerSweep = 10_000
)

// receiptWalk looks through the receipts of all identities, a part at a time.
type receiptWalk struct {
	begun time.Time
	at    persistence.Name // the last that was looked at, "" between two walks
}

// sweep looks at the next part. What cannot be read or deleted is left to the next
// walk.
func (w *receiptWalk) sweep(e *Engine, now time.Time) {
	if w.at == "" {
		if now.Sub(w.begun).Abs() < receiptsEvery {
			return
		}
		w.begun, w.at = now, persistence.NewName(persistence.KindReceipt)
	}
	var old []persistence.Name
	seen, last := 0, w.at
	err := e.store.ScanAfter(context.Background(), w.at, receiptsPerSweep, func(name persistence.Name, value []byte) error {
		if name.Kind() != persistence.KindReceipt {
			return errEnough
		}
		seen, last = seen+1, name
		if kept, err := deviceactor.DecodeReceipt(value); err == nil && e.expired(kept.Sent) {
			old = append(old, name)
		}
		return nil
	})
	if w.at = last; err != nil || seen < receiptsPerSweep {
		w.at = ""
	}
	if err := e.dropReceipts(old); err != nil {
		e.options.Logger.Warn("receipts that were kept long enough cannot be deleted", "error", err)
	}
}

// dropReceipts deletes those that are still expired, and of which nobody sends the
// message again just now.
func (e *Engine) dropReceipts(old []persistence.Name) error {
	var batch persistence.Batch
	for _, name := range old {
		release, wait := e.underKey.try(name)
		if wait != nil {
			continue
		}
		defer release()
		value, err := e.committer.Get(context.Background(), name)
		if err != nil {
			continue
		}
		if kept, err := deviceactor.DecodeReceipt(value); err == nil && e.expired(kept.Sent) {
			batch.Records = append(batch.Records, persistence.Record{Name: name, Delete: true})
		}
	}
	if len(batch.Records) == 0 {
		return nil
	}
	return e.store.Apply(context.Background(), batch)
}
