package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// testPatience bounds every wait of these tests.
const testPatience = time.Minute

// person is somebody with a store of his own, who uses it by the command line.
type person struct {
	t        *testing.T
	dir, key string
}

func newPerson(t *testing.T) person {
	t.Helper()
	dir := t.TempDir()
	return person{t, filepath.Join(dir, "store"), filepath.Join(dir, "key")}
}

// args is a command line on the store.
func (p person) args(args ...string) []string {
	return append(args, "--dir="+p.dir, "--key-file="+p.key)
}

// does runs a command that has to go well, and gives what it wrote.
func (p person) does(args ...string) string {
	p.t.Helper()
	status, out, errors := command(p.t, p.args(args...)...)
	if status != 0 {
		p.t.Fatalf("rookery %s: status %d: %s", strings.Join(args, " "), status, errors)
	}
	return out
}

// fails runs one that has to end with a status and words about why.
func (p person) fails(status int, says string, args ...string) {
	p.t.Helper()
	p.failsOn(strings.NewReader(""), status, says, args...)
}

func (p person) failsOn(stdin io.Reader, status int, says string, args ...string) {
	p.t.Helper()
	got, out, errors := commandOn(p.t, stdin, p.args(args...)...)
	if got != status || !strings.Contains(errors, says) {
		p.t.Errorf("rookery %s: status %d, want %d and %q:\n%s%s", strings.Join(args, " "), got, status, says, out, errors)
	}
}

// objects are the JSON objects that a command writes, one a line.
func (p person) objects(args ...string) []map[string]any {
	p.t.Helper()
	return objectsIn(p.t, p.does(append(args, "--json")...))
}

func objectsIn(t *testing.T, out string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(out) {
		var one map[string]any
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		all = append(all, one)
	}
	return all
}

// object is the only one.
func (p person) object(args ...string) map[string]any {
	p.t.Helper()
	all := p.objects(args...)
	if len(all) != 1 {
		p.t.Fatalf("rookery %s: %d objects", strings.Join(args, " "), len(all))
	}
	return all[0]
}

// new makes an identity and gives its key.
func (p person) new(args ...string) string {
	p.t.Helper()
	return p.object(append([]string{"identity", "create"}, args...)...)["identity"].(string)
}

// code is the contact code.
func (p person) code(args ...string) string {
	p.t.Helper()
	return p.object(append([]string{"identity", "qr"}, args...)...)["code"].(string)
}

// shared is a buffer that is read while it is written.
type shared struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// listening is a rookery listen that runs.
type listening struct {
	t      *testing.T
	out    shared
	errors *os.File
	status chan int
}

// listens starts one and waits until it listens.
func (p person) listens(args ...string) *listening {
	p.t.Helper()
	errors, err := os.Create(filepath.Join(p.t.TempDir(), "stderr"))
	if err != nil {
		p.t.Fatal(err)
	}
	l := &listening{t: p.t, errors: errors, status: make(chan int, 1)}
	p.t.Cleanup(func() { _ = errors.Close() }) // a test's own file
	go func() {
		l.status <- run(p.args(append([]string{"listen", "--transport=memory"}, args...)...), strings.NewReader(""), &l.out, errors)
	}()
	soon(p.t, "listening", func() bool { return strings.Contains(l.said(), "listening for") || len(l.status) > 0 })
	return l
}

// said is what it wrote to standard error.
func (l *listening) said() string {
	l.t.Helper()
	said, err := os.ReadFile(l.errors.Name())
	if err != nil {
		l.t.Fatal(err)
	}
	return string(said)
}

// interrupt is what a user does to end it.
func (l *listening) interrupt() {
	l.t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		l.t.Fatal(err)
	}
}

// ends waits for the end and gives what was printed.
func (l *listening) ends(status int) string {
	l.t.Helper()
	select {
	case got := <-l.status:
		if got != status {
			l.t.Errorf("status %d, want %d: %s%s", got, status, l.out.String(), l.said())
		}
	case <-time.After(testPatience):
		l.t.Fatalf("it does not end: %s%s", l.out.String(), l.said())
	}
	return l.out.String()
}

func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(testPatience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited in vain for " + what)
		}
	}
}
