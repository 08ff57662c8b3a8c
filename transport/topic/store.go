package topic

import "github.com/rookery-im/rookery/internal/secret"

// Store keeps derived keys, so that a process that starts again need not derive
// them again. Keys calls it from several goroutines, and for one name from one at
// a time.
type Store interface {
	// LoadTopicKey gives the key of a name; found is false when there is none.
	LoadTopicKey(name Digest) (key secret.Key, found bool, err error)
	// SaveTopicKey keeps a key, sealed: it opens all that is published on the
	// topic. It may return before the key is durable; one that is lost is derived
	// again. The key must not be kept beyond the call.
	SaveTopicKey(name Digest, key *secret.Key) error
}
