package main

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/rookery-im/rookery/transport"
)

func TestFrameIsReadAsItWasWritten(t *testing.T) {
	e := transport.Envelope{Topic: "personal/x", Payload: []byte{0, 1, 0xff}}
	e.Sender[0], e.Sender[32] = 2, 9
	want := []frame{
		{Kind: isPublished, Number: 7, Envelope: framed(e)},
		{Kind: isTold, Side: bob, ID: "ab", Payload: []byte("payload"), Peer: e.Sender[:]},
		{Kind: doStart, Text: "directory", Plan: &plan{Life: 3, Ending: atHook, Hook: beforeAck, Pass: 2}},
	}
	var wire bytes.Buffer
	for _, f := range want {
		if err := writeFrame(&wire, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range want {
		got, err := readFrame(&wire)
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Errorf("read %+v, %v, want %+v", got, err, f)
		}
		if f.Envelope == nil {
			continue
		}
		if back, err := got.Envelope.open(); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("envelope %v, %v, want %v", back, err, e)
		}
	}
	if _, err := readFrame(&wire); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// A writer that was killed leaves half a frame.
func TestHalfAFrameIsNone(t *testing.T) {
	var wire bytes.Buffer
	if err := writeFrame(&wire, frame{Kind: isTold, ID: "ab"}); err != nil {
		t.Fatal(err)
	}
	whole := wire.Bytes()
	for size := 1; size < len(whole); size++ {
		if f, err := readFrame(bytes.NewReader(whole[:size])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: %+v, %v", size, len(whole), f, err)
		}
	}
	if _, err := readFrame(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff})); err == nil {
		t.Error("a frame of 4 GiB is accepted")
	}
}

func TestEnvelopeOfNoSenderIsRefused(t *testing.T) {
	for _, size := range []int{0, 32, 34} {
		if _, err := (&envelope{Sender: make([]byte, size)}).open(); err == nil {
			t.Errorf("a sender of %d bytes is accepted", size)
		}
	}
}
