package core

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/rookery-im/rookery/ratchet"
)

// toDeployed and toRookery carry a message over as the wire would.
func toDeployed(m ratchet.Message) deployedMessage {
	return deployedMessage{key: m.Header.Key.Bytes(), n: m.Header.N, pn: m.Header.PN, ciphertext: m.Ciphertext}
}

func toRookery(tb testing.TB, m deployedMessage) ratchet.Message {
	tb.Helper()
	key, err := ratchet.NewPublicKey(m.key)
	if err != nil {
		tb.Fatal(err)
	}
	return ratchet.Message{Header: ratchet.Header{Key: key, N: m.n, PN: m.pn}, Ciphertext: m.ciphertext}
}

// converse lets both sides talk: messages in order, ratchet turns, and messages
// that come late, also from the chain before.
func converse(t *testing.T, mine *side, theirs *deployedSession) {
	t.Helper()
	var lateMine []ratchet.Message
	var lateTheirs []deployedMessage
	for turn := range 6 {
		for n := range 5 {
			m, err := mine.send(text(turn, n))
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 || n == 4 {
				lateMine = append(lateMine, m)
				continue
			}
			got, err := theirs.receive(toDeployed(m))
			mustRead(t, got, err, text(turn, n))
		}
		for n := range 5 {
			m, err := theirs.send(text(turn, n))
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 || n == 4 {
				lateTheirs = append(lateTheirs, m)
				continue
			}
			got, err := mine.receive(toRookery(t, m))
			mustRead(t, got, err, text(turn, n))
		}
	}
	// The last of both chains were skipped over only if another turn followed.
	m, err1 := mine.send(nil)
	answered, err2 := theirs.receive(toDeployed(m))
	answer, err3 := theirs.send(nil)
	got, err4 := mine.receive(toRookery(t, answer))
	mustRead(t, slices.Concat(answered, got), errors.Join(err1, err2, err3, err4), nil)
	for i := range lateMine {
		want := text(i/2, []int{1, 4}[i%2])
		got, err := theirs.receive(toDeployed(lateMine[i]))
		mustRead(t, got, err, want)
		got, err = mine.receive(toRookery(t, lateTheirs[i]))
		mustRead(t, got, err, want)
	}
	if mine.skipped.Len() != 0 {
		t.Errorf("%d skipped keys are left", mine.skipped.Len())
	}
}

func text(turn, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "turn %d, message %d. ", turn, n), 1+20*n)
}

func mustRead(t *testing.T, got []byte, err error, want []byte) {
	t.Helper()
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%q, %v; want %q", got, err, want)
	}
}

// What is measured as the reference is the deployed protocol: a session started
// on either side by either implementation goes on with the other one. Both agree
// on SK, or the first message would not be read. go-ethereum draws the keys of the
// reference, so no seed would repeat a run.
func TestReferenceInteroperates(t *testing.T) {
	alice, err1 := newDeployedHost()
	bob, err2 := newDeployedHost()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Run("started by rookery", func(t *testing.T) {
		mine, flight, err := alice.start(&bob.bundle, text(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		theirs, got, err := bob.acceptDeployed(firstFlight[deployedMessage]{flight.identity, flight.ephemeral, toDeployed(flight.message)})
		mustRead(t, got, err, text(0, 0))
		converse(t, mine, theirs)
	})
	t.Run("started by the reference", func(t *testing.T) {
		theirs, flight, err := alice.startDeployed(&bob.bundle, text(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		mine, got, err := bob.accept(firstFlight[ratchet.Message]{flight.identity, flight.ephemeral, toRookery(t, flight.message)})
		mustRead(t, got, err, text(0, 0))
		converse(t, mine, theirs)
	})
}

// The other side's bundles are believed, and forged ones are not, in both ways.
func TestReferenceChecksTheSameBundles(t *testing.T) {
	alice, err1 := newDeployedHost()
	bob, err2 := newDeployedHost()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	signedByReference := bob.bundle
	signedByReference.Signature = [65]byte{}
	if err := deployedSign(bob.deployed, &signedByReference); err != nil {
		t.Fatal(err)
	}
	if _, _, err := alice.start(&signedByReference, nil); err != nil {
		t.Errorf("signed by the reference: %v", err)
	}
	forged := bob.bundle
	forged.Timestamp++
	if _, _, err := alice.start(&forged, nil); err == nil {
		t.Error("rookery takes a forged bundle")
	}
	if _, _, err := alice.startDeployed(&forged, nil); err == nil {
		t.Error("the reference takes a forged bundle")
	}
}

// A gap costs the reference as many keys as it costs the product.
func TestReferenceKeepsSkippedKeys(t *testing.T) {
	from, to, err := establishedDeployed()
	if err != nil {
		t.Fatal(err)
	}
	var last deployedMessage
	for range deployedMaxSkip + 1 {
		var err error
		if last, err = from.send(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := to.receive(last); err != nil {
		t.Fatal(err)
	}
	if n := len(to.skipped[string(last.key)]); n != deployedMaxSkip {
		t.Errorf("%d keys are kept, want %d", n, deployedMaxSkip)
	}
	last.n += deployedMaxSkip + 2
	if _, err := to.receive(last); !errors.Is(err, errDeployedTooMany) {
		t.Errorf("one more: %v", err)
	}
}
