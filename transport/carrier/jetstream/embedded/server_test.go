package embedded_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/transport/carrier/jetstream/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patience is how long what is going to happen may take on a busy machine.
const patience = time.Minute

// patient gives what a test has ended the time to be gone that a busy machine needs
// for it: goleak by itself looks for less than half a second.
type patient struct{ *testing.M }

func (m patient) Run() int {
	code := m.M.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return code
}

func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func connect(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	to := nats.InProcessServer(s)
	if s.URL() != "" {
		to = nats.Name("over the loopback")
	}
	nc, err := nats.Connect(s.URL(), to, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// TestKeepsWhatItWasGivenAcrossStops: without a port, so that nobody else can connect,
// and with one on the loopback.
func TestKeepsWhatItWasGivenAcrossStops(t *testing.T) {
	for name, port := range map[string]int{"in process": 0, "loopback": -1} {
		t.Run(name, func(t *testing.T) {
			o := embedded.Options{Dir: filepath.Join(t.TempDir(), "store"), Port: port, SyncAlways: true}
			for round := range 3 {
				s := start(t, o)
				if at, err := url.Parse(s.URL()); err != nil || port == 0 && s.URL() != "" || port != 0 && !net.ParseIP(at.Hostname()).IsLoopback() {
					t.Errorf("it is at %q", s.URL())
				}
				js := connect(t, s)
				_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "mail", Subjects: []string{"mail.*"}})
				if err != nil {
					t.Fatal(err)
				}
				ack, err := js.Publish(t.Context(), "mail.a", []byte("text"))
				if err != nil || ack.Sequence != uint64(round)+1 {
					t.Errorf("round %d: %+v, %v", round, ack, err)
				}
				s.Stop()
				s.Stop()
			}
		})
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	js := connect(t, start(t, embedded.Options{Dir: dir}))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "mail", Subjects: []string{"mail.*"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "mail.a", []byte("text")); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDirectoryIsForOneServer(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir()}
	s := start(t, o)
	if _, err := embedded.Start(o); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a second one gives %v", err)
	}
	s.Stop()
	start(t, o)
}

func TestOptionsOutOfBoundsAreRefused(t *testing.T) {
	for name, o := range map[string]embedded.Options{
		"no directory":       {},
		"port":               {Dir: t.TempDir(), Port: 65536},
		"negative port":      {Dir: t.TempDir(), Port: -2},
		"negative interval":  {Dir: t.TempDir(), SyncInterval: -time.Second},
		"negative store":     {Dir: t.TempDir(), MaxStore: -1},
		"negative in memory": {Dir: t.TempDir(), MaxMemory: -1},
	} {
		if _, err := embedded.Start(o); !errors.Is(err, embedded.ErrOptions) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// TestWhatDoesNotStartLeavesNothing: neither a lock nor what runs.
func TestWhatDoesNotStartLeavesNothing(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir(), Configure: func(o *server.Options) { o.Cluster.Name = "not allowed" }}
	if _, err := embedded.Start(o); err == nil {
		t.Fatal("a name with spaces is accepted")
	}
	o.Configure = nil
	start(t, o)
}

// TestWhatKeepsItFromStartingIsTold, at once: a port that is taken, and a place for its
// files where there is something else.
func TestWhatKeepsItFromStartingIsTold(t *testing.T) {
	first := start(t, embedded.Options{Dir: t.TempDir(), Port: -1})
	at, err := url.Parse(first.URL())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	occupied := t.TempDir()
	if err := os.WriteFile(filepath.Join(occupied, "jetstream"), []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for says, o := range map[string]embedded.Options{
		at.Port():   {Dir: t.TempDir(), Port: port},
		"JetStream": {Dir: occupied},
	} {
		if s, err := embedded.Start(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v", says, err)
			if s != nil {
				s.Stop()
			}
		}
	}
}

func TestLogTellsAndHasNoMessages(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s := start(t, embedded.Options{Dir: t.TempDir(), Log: log})
	js := connect(t, s)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "mail", Subjects: []string{"mail.*"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "mail.a", []byte("tell-no-one")); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if text.Len() == 0 || strings.Contains(text.String(), "tell-no-one") {
		t.Errorf("the log is %q", text.String())
	}
}
