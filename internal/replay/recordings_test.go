package replay

import (
	"os"
	"testing"
)

func TestX(t *testing.T) {
	paths, err := Find([]string{"../../testdata/recordings/sessions"})
	if err != nil { t.Fatal(err) }
	for _, p := range paths {
		r, err := File(p)
		if err != nil { t.Error(err); continue }
		r.WriteText(os.Stdout)
		for _, s := range r.Steps { if s.modelWrong { t.Log("model wrong", p, s.I, s.Cmd) } }
	}
}
