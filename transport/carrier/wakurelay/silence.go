package wakurelay

import (
	"os"
	"sync"

	"github.com/ipfs/go-log/v2"
)

// loggers are those of the parts of libp2p that a peer is made of. They write to
// standard error, mostly about what strangers do.
var loggers = []string{
	"blankhost", "canonical-log", "connmgr", "discovery-backoff", "eventbus", "net/identify",
	"peerstore", "ping", "pubsub", "rcmgr", "reuseport-transport", "swarm2", "tcp-demultiplex",
	"tcp-tpt", "upgrader",
}

// silence is once for the process, so that a program may turn loggers on afterwards.
var silence = sync.OnceFunc(func() {
	if os.Getenv("GOLOG_LOG_LEVEL") != "" {
		return
	}
	for _, name := range loggers {
		_ = log.SetLogLevel(name, "fatal") // one that is not there writes nothing
	}
})
