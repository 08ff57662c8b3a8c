package remnants

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/keyring"
	"github.com/rookery-im/rookery/persistence/pebble"
	"github.com/rookery-im/rookery/persistence/sealing"
	"github.com/rookery-im/rookery/transport/memory"
)

const (
	partVariable = "REMNANTS_TEST_PART"
	// crashVariable is empty where a core file would not be found: the child waits to
	// be read instead.
	crashVariable = "REMNANTS_TEST_CRASH"
	ready         = "ready\n"
)

// parts are what a child does before it crashes.
var parts = map[string]func() error{"ratchet": talkBare, "engine": talkEngines}

func TestMain(m *testing.M) {
	if do, ok := parts[os.Getenv(partVariable)]; ok {
		err := do()
		if err == nil {
			err = end()
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// end crashes with all memory there is in the core file, or waits.
func end() error {
	runtime.GC()
	if os.Getenv(crashVariable) == "" {
		if _, err := os.Stdout.WriteString(ready); err != nil {
			return err
		}
		_, err := os.Stdin.Read(make([]byte, 1))
		return err
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &limit); err != nil {
		return err
	}
	debug.SetTraceback("crash")
	if err := unix.Kill(os.Getpid(), unix.SIGABRT); err != nil {
		return err
	}
	time.Sleep(time.Minute)
	return fmt.Errorf("no crash")
}

// living keep the last states of the bare ratchet in memory.
var living [2]state

func talkBare() (err error) {
	living, err = converse(func(state) {})
	return err
}

// messages is how many each of two engines sends.
const messages = 200

// talkEngines hosts two identities that answer each other, and writes down what the
// store is given.
func talkEngines() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	book, err := os.Create("records")
	if err != nil {
		return err
	}
	inner, err := sealing.Open(ctx, sealing.Options{
		Dir: "store", Protector: keyring.KeyFile("key"), Bound: -1, Random: rand.Reader,
		Records: func(dir string) (persistence.Store, error) { return pebble.Open(dir, pebble.Options{}) },
	})
	if err != nil {
		return err
	}
	received := make(chan struct{}, 2*messages)
	engine, err := rookery.Open(ctx, rookery.Options{
		Store: &noted{inner, book}, Transport: memory.New(1, memory.Faults{}),
		Handler: func(e rookery.Event) {
			if m, ok := e.(rookery.Message); ok {
				m.Ack()
				received <- struct{}{}
			}
		},
	})
	if err != nil {
		return err
	}
	alice, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		return err
	}
	bob, err := engine.CreateIdentity(ctx, rookery.NewIdentity{})
	if err != nil {
		return err
	}
	for from, to := alice, bob; ; from, to = to, from {
		for range 4 {
			if _, err := from.Send(ctx, to.PublicKey(), []byte("short")); err != nil {
				return err
			}
			select {
			case <-received:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if engine.Counts().Sent >= 2*messages {
			return book.Sync()
		}
	}
}

// noted writes down what a store is given. What it writes is masked, and so is no
// copy of a key in this memory.
type noted struct {
	persistence.Store
	to io.Writer
}

const mask = 0x5a

// Apply implements persistence.Store.
func (n *noted) Apply(ctx context.Context, batch persistence.Batch) error {
	for _, r := range batch.Records {
		line := fmt.Appendf(nil, "%x %t ", string(r.Name), r.Delete)
		for _, b := range r.Value {
			line = fmt.Appendf(line, "%02x", b^mask)
		}
		if _, err := n.to.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return n.Store.Apply(ctx, batch)
}

// readNoted gives what was written down.
func readNoted(dir string, take func(persistence.Batch)) error {
	file, err := os.Open(filepath.Join(dir, "records"))
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for {
		var name, value []byte
		var deleted bool
		n, err := fmt.Fscanf(file, "%x %t %x\n", &name, &deleted, &value)
		switch {
		case err == io.EOF && n == 0: //nolint:errorlint // as Fscanf gives it
			return nil
		case n < 2:
			return fmt.Errorf("%d fields: %w", n, err)
		}
		for i := range value {
			value[i] ^= mask
		}
		take(persistence.Batch{Records: []persistence.Record{{Name: persistence.Name(name), Delete: deleted, Value: value}}})
	}
}
