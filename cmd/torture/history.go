package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/rookery-im/rookery/proto/wire"
)

// history is what the parent saw in one round, for whoever looks for the cause
// of a violation.
type history struct {
	began time.Time
	lines []entry
}

type entry struct {
	at   time.Duration
	life int
	text string
}

func newHistory() *history { return &history{began: time.Now()} }

func (h *history) note(life int, format string, args ...any) {
	h.lines = append(h.lines, entry{time.Since(h.began), life, fmt.Sprintf(format, args...)})
}

// frame notes what the child has told.
func (h *history) frame(life int, f frame) {
	switch f.Kind {
	case isPublished:
		h.note(life, "published %d on %s, envelope %s: %s", f.Number, f.Envelope.Topic, fingerprint(f.Envelope.Payload), outline(f.Envelope.Payload))
	case isHandedOver:
		h.note(life, "%v handed over %s %s, envelope %s: %s", f.Side, short(f.ID), label(f.Payload), fingerprint(f.Envelope.Payload), outline(f.Envelope.Payload))
	case isListening, isDeaf, isLeft:
		h.note(life, "%s %d %s", f.Kind, f.Number, f.Text)
	case isDone:
		h.note(life, "done with delivery %d %s", f.Number, f.Text)
	case isReady:
		h.note(life, "%v %s: %x, installation %s", f.Side, f.Kind, f.Payload, f.Text)
	case isHere, isOpen, isStopped, isDying, isBroken:
		h.note(life, "%s %s", f.Kind, f.Text)
	default:
		text := ""
		if len(f.Payload) > 0 {
			text = label(f.Payload)
		}
		h.note(life, "%v %s %s %s %s", f.Side, f.Kind, short(f.ID), text, f.Text)
	}
}

// outline says where in its chain each part of a message is.
func outline(message []byte) string {
	m, err := wire.Decode(message)
	if err != nil {
		return err.Error()
	}
	text := ""
	for _, e := range m.Entries {
		if dr := e.Part.DR; dr != nil {
			text += fmt.Sprintf(" [to %.8s, key %x, N %d, PN %d, starts a session: %t, ciphertext %s]",
				e.Recipient, dr.RatchetKey[:min(len(dr.RatchetKey), 6)], dr.N, dr.PN, e.Part.X3DH != nil, fingerprint(e.Part.Payload))
		}
	}
	return fmt.Sprintf("%d bundles,%s", len(m.Bundles), text)
}

// write puts the history into a file.
func (h *history) write(name string) (err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	for _, e := range h.lines {
		if _, err := fmt.Fprintf(w, "%10.3fms life %d: %s\n", float64(e.at)/float64(time.Millisecond), e.life, e.text); err != nil {
			_ = file.Close()
			return err
		}
	}
	if err := w.Flush(); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
