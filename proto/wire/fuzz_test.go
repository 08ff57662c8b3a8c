package wire

import (
	"math/rand/v2"
	"testing"
)

// seedsPerRecording keeps the start of a fuzzing run short; later messages of a
// conversation have the same shape.
const seedsPerRecording = 12

// addSeeds adds the first items of each recording.
func addSeeds(f *testing.F, lists ...[]recorded) {
	f.Helper()
	taken := make(map[string]int)
	for _, list := range lists {
		for _, r := range list {
			if taken[r.name]++; taken[r.name] <= seedsPerRecording {
				f.Add(r.bytes)
			}
		}
	}
}

// T19: no panic; what is accepted is understood as the generated code does, and
// is a fixed point.
func FuzzDecodeMessage(f *testing.F) {
	all := loadRecordings(f)
	addSeeds(f, all.givenMessages, all.messages)
	for _, r := range refusals() {
		if len(r.input) < 4<<10 {
			f.Add(r.input)
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkMessage(t, input) })
}

// T19: as FuzzDecodeMessage.
func FuzzDecodeBundle(f *testing.F) {
	all := loadRecordings(f)
	addSeeds(f, all.givenBundles, all.bundles)
	f.Add(bundleOfMany(5))
	f.Fuzz(func(t *testing.T, input []byte) { checkBundle(t, input) })
}

// T19, T21: a counted run of mutated recordings under the rules of the fuzzers.
// Repeat with: go test ./proto/wire -run TestMutatedMessages
func TestMutatedMessagesAreRefusedOrUnderstood(t *testing.T) {
	const seed, runs = 5, 10_000
	rng := rand.New(rand.NewPCG(seed, 0))
	var sources [][]byte
	for _, r := range loadRecordings(t).messages {
		if len(r.bytes) < 2<<10 {
			sources = append(sources, r.bytes)
		}
	}
	accepted := 0
	for range runs {
		if checkMessage(t, mutate(rng, sources)) {
			accepted++
		}
	}
	if accepted < runs/20 || accepted > runs*19/20 {
		t.Errorf("%d of %d accepted (seed %d): the mutations prove little", accepted, runs, seed)
	}
}

// mutate changes one to three places of a message, or grafts a piece of another.
func mutate(rng *rand.Rand, sources [][]byte) []byte {
	b := append([]byte(nil), sources[rng.IntN(len(sources))]...)
	for range 1 + rng.IntN(3) {
		at := rng.IntN(len(b))
		switch rng.IntN(4) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = byte(rng.Uint32())
		case 2:
			b = append(b[:at], b[min(len(b), at+1+rng.IntN(4)):]...)
		case 3:
			other := sources[rng.IntN(len(sources))]
			from := rng.IntN(len(other))
			piece := other[from:min(len(other), from+1+rng.IntN(40))]
			b = append(b[:at:at], append(piece[:len(piece):len(piece)], b[at:]...)...)
		}
		if len(b) == 0 {
			break
		}
	}
	return b
}
