package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
)

// process is one that this program has started from itself. It ends with us: what
// it is told by then comes to an end.
type process struct {
	command *exec.Cmd
	out     *outlet
	frames  <-chan frame // closed when it has ended
}

// startProcess starts this program once more, as what the argument names.
func startProcess(ctx context.Context, as string, stderr io.Writer) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{command: exec.CommandContext(ctx, self, as)} //nolint:gosec // ourselves
	p.command.Stderr = stderr
	in, err := p.command.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own: Wait closes the one of StdoutPipe before all was read.
	out, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.command.Stdout = theirs
	err = p.command.Start()
	_ = theirs.Close()
	if err != nil {
		_ = out.Close()
		return nil, err
	}
	p.out = newOutlet(in)
	frames := make(chan frame, 64)
	p.frames = frames
	go func() {
		defer close(frames)
		defer func() { _ = out.Close() }()
		for {
			f, err := readFrame(out)
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
					frames <- frame{Kind: isBroken, Text: "unreadable: " + err.Error()}
				}
				return
			}
			frames <- f
		}
	}()
	return p, nil
}

func (p *process) tell(f frame) { p.out.tell(f) }

func (p *process) kill() { _ = p.command.Process.Kill() }

// wait is for when the frames have ended.
func (p *process) wait() error {
	p.out.close()
	return p.command.Wait()
}

// journal is what processes write to their standard error. Safe for concurrent use.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.text.Bytes())
}
