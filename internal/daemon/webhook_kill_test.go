package daemon

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rookery-im/rookery"
	"github.com/rookery-im/rookery/internal/daemon/token"
	"github.com/rookery-im/rookery/internal/leakscan"
	"github.com/rookery-im/rookery/transport/memory"
)

// childOf is the variable of the environment by which the test's program is a daemon on
// that store.
const childOf = "ROOKERY_TEST_DAEMON_OF"

// serveAsChild serves until the process is killed.
func serveAsChild(dir string) error {
	options := Options{Tokens: token.Of(dir), WebhookRefusals: 1 << 30}
	h := &house{}
	quickWebhooks(h)
	options.WebhookSchedule = h.options.WebhookSchedule
	d := New(options)
	engine, err := rookery.Open(context.Background(), rookery.Options{
		Dir: dir, Unlock: rookery.KeyFile(dir + ".key"), Transport: memory.New(1, memory.Faults{}), Handler: d.Handle, Requests: rookery.Ask,
	})
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	return d.Serve(context.Background(), engine, listener, nil)
}

// child starts a daemon in a process of its own, and gives what kills it.
func (h *house) child() (kill func()) {
	h.t.Helper()
	run := exec.CommandContext(h.t.Context(), os.Args[0])
	run.Env = append(os.Environ(), childOf+"="+h.dir)
	run.Stderr = h.log
	out := must(run.StdoutPipe())(h.t)
	if err := run.Start(); err != nil {
		h.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.t.Fatalf("%v: %s", err, h.log)
	}
	h.address = strings.TrimSpace(line)
	return func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	}
}

// A daemon that is killed again and again, while the endpoint fails at random, delivers
// every message at least once, always under one id, and nothing of another identity.
func TestKilledDaemonDeliversEverythingUnderOneID(t *testing.T) {
	const total, kills = 30, 8
	dir := filepath.Join(t.TempDir(), "store")
	h := &house{t: t, dir: dir, tokens: token.Of(dir), log: new(logBook), leaks: leakscan.Watch(t)}
	h.admin = h.token(token.Token{Admin: true})
	kill := h.child()
	defer func() { kill() }()
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	to := newReceiver(t)
	to.answers(always(http.StatusServiceUnavailable))
	bob.hook(to)
	ids := make(map[string]string) // by their texts
	events := bob.listen("")
	for n := range total {
		alice.send(bob, fmt.Sprint(n), "")
	}
	for range total { // what has come is durable; what has not may be lost with the network
		e := events.message()
		ids[e.text()] = e.ID
	}
	if len(ids) != total {
		t.Fatalf("%d of %d came", len(ids), total)
	}
	random := rand.New(rand.NewPCG(*seed, 3))
	var draws atomic.Uint64
	to.answers(func(eventSeen) int {
		if (draws.Add(0x9e3779b97f4a7c15)>>40)%3 == 0 {
			return http.StatusOK
		}
		return http.StatusInternalServerError
	})
	for range kills {
		before, most := to.attempts(), random.IntN(12)
		eventually(t, "some attempts", func() bool { return to.attempts() > before+most || covers(to, total) })
		kill()
		kill = h.child()
	}
	to.answers(nil)
	eventually(t, "all delivered", func() bool { return covers(to, total) })
	for _, e := range to.all() {
		if e.Identity != bob.key || ids[e.text()] != e.ID {
			t.Errorf("%q came with id %s, which was %s", e.text(), e.ID, ids[e.text()])
		}
	}
	t.Logf("%d messages delivered %d times in %d attempts over %d kills; repeat: -seed %d", total, len(to.all()), to.attempts(), kills, *seed)
}

func covers(to *receiver, total int) bool {
	seen := make(map[string]bool)
	for _, text := range to.texts() {
		seen[text] = true
	}
	return len(seen) == total
}
