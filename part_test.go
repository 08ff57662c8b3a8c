package rookery_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/cause"
	"github.com/rookery-im/rookery/transport"
)

const statusInUse = 3

// openAndLeave is a process that wants a directory and says by its status
// whether it is in use.
func openAndLeave() int {
	engine, err := rookery.Open(context.Background(), rookery.Options{
		Dir: os.Getenv(directoryVariable), Unlock: keyOf(os.Getenv(directoryVariable)), Transport: newAir(),
	})
	switch {
	case errors.Is(err, cause.ErrStoreInUse):
		return statusInUse
	case err != nil:
		return 1
	case engine.Close(context.Background()) != nil:
		return 1
	}
	return 0
}

// report is one line of a talking process. It is written before what it tells
// of goes on, so that a kill leaves no effect without its line.
type report struct {
	Published *transport.Envelope `json:",omitempty"`
	Receipt   *line               `json:",omitempty"`
	Delivered *line               `json:",omitempty"`
	Copied    *line               `json:",omitempty"`
}

// line is a note that can be written.
type line struct {
	Key          rookery.PublicKey
	Installation string
	To           rookery.PublicKey
	ID           rookery.MessageID
	Payload      string
}

func lineOf(m rookery.Message) *line {
	return &line{Key: m.Identity.PublicKey(), Installation: m.Identity.InstallationID(), ID: m.ID, Payload: string(m.Payload)}
}

func (l *line) note() note {
	n := note{at: device{l.Key, l.Installation}, id: l.ID, payload: l.Payload}
	if l.To != (rookery.PublicKey{}) {
		n.to = device{key: l.To}
	}
	return n
}

// talkUntilKilled is a process in which all hosted installations write to the
// other identity, as fast as they can, until somebody ends it.
func talkUntilKilled() int {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	tell := func(r report) {
		mu.Lock()
		defer mu.Unlock()
		if out.Encode(r) != nil {
			os.Exit(1) // nobody listens any more
		}
	}
	network := newAir()
	network.onPublish = func(e transport.Envelope) { tell(report{Published: &e}) }
	engine, err := rookery.Open(context.Background(), rookery.Options{
		Dir:       os.Getenv(directoryVariable),
		Unlock:    keyOf(os.Getenv(directoryVariable)),
		Transport: network,
		Handler: func(e rookery.Event) {
			switch m := e.(type) {
			case rookery.Message:
				tell(report{Delivered: lineOf(m)})
				m.Ack()
			case rookery.SentElsewhere:
				tell(report{Copied: lineOf(m.Message)})
				m.Ack()
			}
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var all sync.WaitGroup
	for _, from := range engine.Identities() {
		for _, to := range engine.Identities() {
			if from.PublicKey() == to.PublicKey() {
				continue
			}
			all.Go(func() {
				for n := 0; ; n++ {
					payload := fmt.Sprintf("%d of process %d to %s", n, os.Getpid(), to.InstallationID())
					receipt, err := from.Send(context.Background(), to.PublicKey(), []byte(payload))
					if err != nil {
						fmt.Fprintln(os.Stderr, err)
						os.Exit(1)
					}
					tell(report{Receipt: &line{
						Key: from.PublicKey(), Installation: from.InstallationID(), To: to.PublicKey(), ID: receipt.ID, Payload: payload,
					}})
				}
			})
		}
	}
	all.Wait()
	return 0
}

// process starts another process that plays a part.
func process(t *testing.T, part, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := exec.CommandContext(patient(t), self)
	p.Env = append(os.Environ(), partVariable+"="+part, directoryVariable+"="+dir)
	p.Stderr = os.Stderr
	return p
}

// T01: a process that hosts both sides is killed at moments that the seed
// picks, opened again, and hosts on.
func TestKilledProcessLosesNothingAndUsesNoKeyTwice(t *testing.T) {
	const rounds, seed = 6, 1
	random := rand.New(rand.NewPCG(seed, seed))
	dir := filepath.Join(t.TempDir(), "store")
	w := newWorld(t, inDirectory(dir))
	alice, bob := w.person(2), w.person(2)
	w.introduceAll(alice, bob)
	w.introduceAll(bob, alice)
	people := [][]device{alice, bob}
	for round := range rounds {
		w.close()
		w.bag.empty()
		lines := 1 + random.IntN(150)
		reports := talk(t, dir, lines)
		var published []transport.Envelope
		var receipts, delivered, copied []note
		for _, r := range reports {
			switch {
			case r.Published != nil:
				published = append(published, *r.Published)
			case r.Receipt != nil:
				receipts = append(receipts, r.Receipt.note())
			case r.Delivered != nil:
				delivered = append(delivered, r.Delivered.note())
			case r.Copied != nil:
				copied = append(copied, r.Copied.note())
			}
		}
		t.Logf("round %d: killed after %d lines: %d published, %d receipts, %d delivered",
			round, lines, len(published), len(receipts), len(delivered))
		store, err := openSealed(dir)
		if err != nil {
			t.Fatal(err)
		}
		checkReceipts(t, store, published, receipts)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		w.air.remember(published)
		w.open()
		w.air.deliver(published)
		for _, r := range receipts {
			for _, d := range devicesOf(people, r.to) {
				w.awaitDelivery(r, d, delivered)
			}
			w.awaitCopy(r, people, copied)
		}
	}
}

// talk runs a talking process and kills it after it has reported that much.
func talk(t *testing.T, dir string, lines int) []report {
	t.Helper()
	p := process(t, "talk", dir)
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	var reports []report
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var r report
		if err := json.NewDecoder(bytes.NewReader(scanner.Bytes())).Decode(&r); err != nil {
			break // the line that the kill cut
		}
		reports = append(reports, r)
		if len(reports) == lines {
			if err := p.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Wait(); err == nil || len(reports) < lines {
		t.Fatalf("the process ended by itself after %d lines: %v", len(reports), err)
	}
	return reports
}

// T09: a directory belongs to one engine at a time, in one process and across
// processes.
func TestDirectoryInUseIsRefused(t *testing.T) {
	w := newWorld(t, backends[0])
	alice := w.person(1)[0]
	options := rookery.Options{Transport: w.air}
	for _, configure := range w.configure {
		configure(&options)
	}
	_, err := rookery.Open(w.context(), options)
	wantError(t, err, cause.ErrStoreInUse)

	var exit *exec.ExitError
	if err := process(t, "open", options.Dir).Run(); !errors.As(err, &exit) || exit.ExitCode() != statusInUse {
		t.Errorf("another process: %v", err)
	}
	if _, err := w.at(alice).Bundle(w.context()); err != nil {
		t.Errorf("the first engine suffered: %v", err)
	}
	w.close()
	if err := process(t, "open", options.Dir).Run(); err != nil {
		t.Errorf("another process, after the close: %v", err)
	}
	w.open()
	w.at(alice)
}
