package actors

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// Few children and many are found alike, whatever came and went before.
func TestOffspringAreFoundByName(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, 0))
	var o offspring
	model := make(map[string]*child)
	for step := range 20_000 {
		name := fmt.Sprint("child ", random.IntN(3*fewChildren))
		// By turns more of them come than go, and the other way round.
		switch known, lives := model[name]; {
		case !lives && random.IntN(4) < 1+2*(step/500%2):
			model[name] = &child{name: name}
			o.add(model[name])
		case lives && random.IntN(4) < 3-2*(step/500%2):
			o.remove(known)
			delete(model, name)
		}
		if o.find(name) != model[name] || o.findBytes([]byte(name)) != model[name] {
			t.Fatalf("seed %d, step %d: found another %q", seed, step, name)
		}
		if o.len() != len(model) {
			t.Fatalf("seed %d, step %d: %d live, want %d", seed, step, o.len(), len(model))
		}
		found := make(map[string]*child)
		for c := range o.all {
			found[c.name] = c
		}
		if !maps.Equal(found, model) {
			t.Fatalf("seed %d, step %d: %v live, want %v", seed, step, slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(model)))
		}
	}
}
