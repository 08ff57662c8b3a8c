package main

import (
	"bytes"
	"context"
	"testing"
	"time"
)

func TestThreeMessagesAreEncryptedAndDecrypted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := run(ctx, t.TempDir(), &out); err != nil {
		t.Fatal(err)
	}
	if out.String() != "one\ntwo\nthree\n" {
		t.Errorf("printed %q", out.String())
	}
}
