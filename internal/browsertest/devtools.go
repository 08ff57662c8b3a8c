package browsertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// devtools speaks the DevTools protocol with a browser: JSON objects, each with a zero
// byte behind it, over two pipes.
type devtools struct {
	to      io.WriteCloser
	session string

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	said    []string // exceptions and refusals of the policy, as the page's console has them
	ended   error
}

type reply struct {
	Result json.RawMessage
	Error  *struct{ Message string }
}

var errClosed = errors.New("the browser has ended")

func newDevtools(to io.WriteCloser, from io.Reader) *devtools {
	d := &devtools{to: to, waiting: make(map[int]chan reply)}
	go d.read(from)
	return d
}

func (d *devtools) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		message, err := r.ReadBytes(0)
		if err != nil {
			break
		}
		var m struct {
			ID     int
			Method string
			Params json.RawMessage
			reply
		}
		if json.Unmarshal(bytes.TrimSuffix(message, []byte{0}), &m) != nil {
			continue
		}
		d.mu.Lock()
		switch {
		case m.ID != 0:
			d.waiting[m.ID] <- m.reply
			delete(d.waiting, m.ID)
		case m.Method == "Runtime.exceptionThrown", m.Method == "Log.entryAdded":
			d.said = append(d.said, string(m.Params))
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = errClosed
	for _, one := range d.waiting {
		close(one)
	}
	d.waiting = nil
}

// ask calls a method of the protocol.
func (d *devtools) ask(ctx context.Context, method string, params, result any) error {
	answer := make(chan reply, 1)
	d.mu.Lock()
	if d.ended != nil {
		d.mu.Unlock()
		return d.ended
	}
	d.last++
	request := map[string]any{"id": d.last, "method": method, "params": params}
	if params == nil {
		request["params"] = struct{}{}
	}
	if d.session != "" {
		request["sessionId"] = d.session
	}
	d.waiting[d.last] = answer
	body, err := json.Marshal(request)
	if err == nil {
		_, err = d.to.Write(append(body, 0))
	}
	d.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case got, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", method, errClosed)
		case got.Error != nil:
			return fmt.Errorf("%s: %s", method, got.Error.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(got.Result, result)
	}
}

// Open starts the browser with one page, which ends with the test.
func (b *Browser) Open() *Page {
	b.t.Helper()
	fromUs, toBrowser, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	fromBrowser, toUs, err := os.Pipe()
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	command := b.command(ctx, "--remote-debugging-pipe", "about:blank")
	command.ExtraFiles = []*os.File{fromUs, toUs} // its 3 and 4
	command.WaitDelay = time.Minute
	var said strings.Builder
	command.Stderr = &said
	if err := command.Start(); err != nil {
		cancel()
		b.t.Fatal(err)
	}
	_, _ = fromUs.Close(), toUs.Close() // they are the browser's
	p := &Page{t: b.t, devtools: newDevtools(toBrowser, fromBrowser)}
	b.t.Cleanup(func() {
		closing, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		p.devtools.session = ""
		_ = p.devtools.ask(closing, "Browser.close", nil, nil) // or it is killed
		_ = toBrowser.Close()
		kill := time.AfterFunc(patience, cancel)
		_ = command.Wait()
		kill.Stop()
		cancel()
		_ = fromBrowser.Close()
		if b.t.Failed() {
			b.t.Logf("the browser said: %s", said.String())
		}
	})
	p.start()
	return p
}
