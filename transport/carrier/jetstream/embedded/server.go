package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

var (
	// ErrOptions: an option is missing or out of bounds.
	ErrOptions = errors.New("embedded: options")
	// ErrInUse: another process has the directory.
	ErrInUse = errors.New("embedded: directory is in use")
)

// Options are what a server is started with.
type Options struct {
	// Dir holds what is kept, and is made if missing. Two servers cannot share it.
	Dir string
	// Port on 127.0.0.1: 0 for none, so that only this process can connect
	// (InProcessConn), -1 for one that is free.
	Port int
	// SyncAlways writes each message through to the disk before it is acknowledged.
	// Otherwise that happens every SyncInterval (2 min if 0), and what came since may
	// be lost when the machine stops; not so when only the process does.
	SyncAlways   bool
	SyncInterval time.Duration
	// MaxStore and MaxMemory are how many bytes all streams have at most (three
	// quarters of what there is if 0).
	MaxStore, MaxMemory int64
	// Log takes what the server has to say; nil for nothing.
	Log *slog.Logger
	// Configure changes what the server is started with, such as accounts and TLS.
	Configure func(*server.Options)
}

// startTime is how long starting may take, with large streams on disk too.
const startTime = time.Minute

// Server is one that runs. All methods are safe for concurrent use.
type Server struct {
	server *server.Server
	lock   *os.File
}

// Start starts a server and waits until it takes connections. ErrInUse if the directory
// is taken; else the error says what the server does not start for, such as its port.
func Start(o Options) (*Server, error) {
	if o.Dir == "" || o.Port < -1 || o.Port > 65535 || o.SyncInterval < 0 || o.MaxStore < 0 || o.MaxMemory < 0 {
		return nil, ErrOptions
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	lock, err := lockFile(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	config := &server.Options{
		ServerName:         "rookery",
		Host:               "127.0.0.1",
		Port:               o.Port,
		DontListen:         o.Port == 0,
		JetStream:          true,
		StoreDir:           o.Dir,
		SyncAlways:         o.SyncAlways,
		SyncInterval:       o.SyncInterval,
		JetStreamMaxStore:  o.MaxStore,
		JetStreamMaxMemory: o.MaxMemory,
		NoSigs:             true,
		NoLog:              o.Log == nil,
	}
	if o.Configure != nil {
		o.Configure(config)
	}
	s, err := server.NewServer(config)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("embedded: %w", err)
	}
	said := logger{to: o.Log, fatal: make(chan string, 1)}
	if o.Log == nil {
		said.to = slog.New(slog.DiscardHandler)
	}
	s.SetLogger(said, false, false)
	running := &Server{s, lock}
	s.Start()
	if err := isReady(s, said.fatal); err != nil {
		running.Stop()
		return nil, err
	}
	return running, nil
}

// isReady waits until a server takes connections, or says why it never will.
func isReady(s *server.Server, fatal <-chan string) error {
	for deadline := time.Now().Add(startTime); !s.ReadyForConnections(50 * time.Millisecond); {
		select {
		case why := <-fatal:
			return fmt.Errorf("embedded: server does not start: %s", why)
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("embedded: server does not start within %s", startTime)
		}
	}
	return nil
}

// URL is where to connect to; empty without a port.
func (s *Server) URL() string {
	if s.server.Addr() == nil {
		return ""
	}
	return s.server.ClientURL()
}

// InProcessConn connects without a port.
func (s *Server) InProcessConn() (net.Conn, error) { return s.server.InProcessConn() }

// Stop ends all connections, writes what is there to the disk and waits for it. It may
// be called again.
func (s *Server) Stop() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
	_ = s.lock.Close()
}
