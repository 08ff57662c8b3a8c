package rookery

import (
	"context"
	"sync"
)

// GroupReceipt says what became of a payload for one member of a group.
type GroupReceipt struct {
	Member PublicKey
	Receipt
	Err error // as of Send; nil if the message is durable
}

// groupSends is how many members are sent to at a time: sending one payload to
// a large group leaves room for everybody else.
const groupSends = 64

// SendGroup sends a payload to each member as a message of its own, encrypted
// pairwise: a private group needs no state beyond who is in it, and any subset
// of it can be written to. Our own identity, which gets copies anyhow, and
// repeated members are passed over. The receipts are in the order of the
// members; one that fails does not hold up the others.
// (5/SECURE-TRANSPORT, Messaging)
func (i *Identity) SendGroup(ctx context.Context, members []PublicKey, payload []byte) []GroupReceipt {
	return i.sendEach(members, func(member PublicKey) (Receipt, error) { return i.Send(ctx, member, payload) })
}

// sendEach calls send for each member once.
func (i *Identity) sendEach(members []PublicKey, send func(PublicKey) (Receipt, error)) []GroupReceipt {
	seen := map[PublicKey]bool{i.public: true}
	var receipts []GroupReceipt
	for _, member := range members {
		if !seen[member] {
			seen[member] = true
			receipts = append(receipts, GroupReceipt{Member: member})
		}
	}
	var (
		sends sync.WaitGroup
		next  = make(chan *GroupReceipt)
	)
	for range min(groupSends, len(receipts)) {
		sends.Go(func() {
			for r := range next {
				r.Receipt, r.Err = send(r.Member)
			}
		})
	}
	for n := range receipts {
		next <- &receipts[n]
	}
	close(next)
	sends.Wait()
	return receipts
}
