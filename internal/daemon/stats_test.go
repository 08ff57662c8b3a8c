package daemon

import "testing"

// stats are what GetStats gives.
type stats struct {
	Sent, Received, AtUnixMs string
	RefusedByCause           []struct{ Cause, Count string }
	SendsRefusedByCause      []struct{ Cause, Count string }
	Latencies                []struct {
		Direction, Stage string
		Times            histogramSeen
	}
	Store *struct {
		DiskBytes, Epochs string
		Writes            histogramSeen
	}
}

type histogramSeen struct {
	BoundsSeconds []float64
	Counts        []string
}

// some tells whether anything was counted.
func (h histogramSeen) some() bool {
	for _, n := range h.Counts {
		if n != "0" {
			return len(h.Counts) == len(h.BoundsSeconds)+1
		}
	}
	return false
}

// The administrator sees causes, latencies and the store.
func TestStatsTellCausesLatenciesAndTheStore(t *testing.T) {
	h := newHouse(t)
	alice, bob := h.resident("alice"), h.resident("bob")
	alice.knows(bob)
	alice.send(bob, "hello", "")
	bob.listen("").message()
	bob.call("ContactService/BlockContact", object{"contact": alice.key}, nil)
	h.refused("failed_precondition", bob.token, "MessageService/Send", object{"identity": bob.key, "to": alice.key, "payload": []byte("x")})
	alice.send(bob, "to nobody", "")
	eventually(t, "a refusal", func() bool { return h.hosting.Counts().Refused == 1 })
	h.refused("permission_denied", alice.token, "DaemonService/GetStats", object{})
	var got stats
	h.call(h.admin, "DaemonService/GetStats", object{}, &got)
	if len(got.RefusedByCause) != 1 || got.RefusedByCause[0].Cause != "blocked" || got.RefusedByCause[0].Count != "1" || len(got.SendsRefusedByCause) != 1 {
		t.Errorf("causes %+v", got)
	}
	seen := make(map[string]bool)
	for _, l := range got.Latencies {
		seen[l.Direction+" "+l.Stage] = l.Times.some()
	}
	for _, stage := range []string{"send queue", "send crypto", "send commit", "receive queue", "receive crypto", "receive commit"} {
		if !seen[stage] {
			t.Errorf("no times of %s: %+v", stage, got.Latencies)
		}
	}
	if got.Store == nil || got.Store.DiskBytes == "" || got.Store.Epochs != "1" || !got.Store.Writes.some() || got.AtUnixMs == "" || got.Sent != "2" {
		t.Errorf("got %+v", got)
	}
}
