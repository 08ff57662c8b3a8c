package wakurelay

import (
	"sync"

	"github.com/rookery-im/rookery/transport/carrier"
)

// filter is which content topics are wanted. A relay takes part in all of its shard:
// most of what comes is of topics that nobody here wants.
type filter struct {
	mu     sync.RWMutex
	topics map[string]struct{}
}

func newFilter() *filter { return &filter{topics: make(map[string]struct{})} }

func (f *filter) add(topics []carrier.Topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range topics {
		f.topics[string(topic)] = struct{}{}
	}
}

func (f *filter) remove(topics []carrier.Topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, topic := range topics {
		delete(f.topics, string(topic))
	}
}

func (f *filter) wants(topic string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, ok := f.topics[topic]
	return ok
}

func (f *filter) isEmpty() bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.topics) == 0
}
