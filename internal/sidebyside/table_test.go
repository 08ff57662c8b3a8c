package main

import (
	"errors"
	"strings"
	"testing"
)

const twoRounds = `goos: linux
cpu: Some CPU
BenchmarkEncrypt/100B/rookery     	  100	      10 ns/op	    48 B/op	       1 allocs/op
BenchmarkEncrypt/100B/reference   	  100	      30 ns/op	  4000 B/op	      40 allocs/op
BenchmarkEncrypt/100B/floor       	  100	       5 ns/op	     0 B/op	       0 allocs/op
BenchmarkEncrypt/100B/least       	  100	       4 ns/op	     0 B/op	       0 allocs/op
BenchmarkRefused/rookery-2        	  100	     1.5 ns/op
BenchmarkRefused/reference-2      	  100	      15 ns/op
BenchmarkRefused/decred-2         	  100	       3 ns/op
BenchmarkAlone                    	  100	      15 ns/op
BenchmarkOf/something             	  100	      15 ns/op
PASS
cpu: Some CPU
BenchmarkEncrypt/100B/rookery     	  100	      20 ns/op	    48 B/op	       1 allocs/op
BenchmarkEncrypt/100B/reference   	  100	     100 ns/op	  4000 B/op	      40 allocs/op
BenchmarkEncrypt/100B/floor       	  100	      16 ns/op	     0 B/op	       0 allocs/op
BenchmarkEncrypt/100B/least       	  100	       5 ns/op	     0 B/op	       0 allocs/op
BenchmarkRefused/rookery-2        	  100	     2.5 ns/op
BenchmarkRefused/reference-2      	  100	      25 ns/op
BenchmarkRefused/decred-2         	  100	       9 ns/op	       5 cpu-ns/op
`

// Ratios are taken within each round: 10/5 and 20/16, not 15/10.5. Processor time
// goes before the time that has passed.
func TestTable(t *testing.T) {
	r, err := read(strings.NewReader(twoRounds))
	if err != nil {
		t.Fatal(err)
	}
	if r.rounds != 2 || r.processor != "Some CPU" {
		t.Errorf("%d rounds on %q", r.rounds, r.processor)
	}
	var out strings.Builder
	r.write(&out)
	want := head + `
| Encrypt/100B | 15 | 65 | 10 | 1.62 | 4 | 3.25 | 4.00 | 1 | 48 | 40 | 4000 |
| Refused | 2 | 20 | - | - | - | - | 10.00 | 0 | 0 | 0 | 0 |

` + otherHead + `
| Refused | decred | 4 | 2.00 |
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestTableOfOneComparisonHasNoOthers(t *testing.T) {
	r, err := read(strings.NewReader("BenchmarkA/b/rookery 1 7 ns/op\nBenchmarkA/b/floor 1 4 ns/op\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	r.write(&out)
	if want := head + "\n| A/b | 7 | - | 4 | 1.75 | - | - | - | 0 | 0 | - | - |\n"; out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestOutputThatGivesNoTable(t *testing.T) {
	for name, c := range map[string]struct {
		output string
		want   error // nil for any
	}{
		"empty":        {"", errNothing},
		"no own row":   {"BenchmarkA/floor 1 4 ns/op\n", errNothing},
		"no operation": {"Benchmarkrookery 1 4 ns/op\n", errNothing},
		"a row less":   {"BenchmarkA/rookery 1 7 ns/op\nBenchmarkA/floor 1 4 ns/op\nBenchmarkA/rookery 1 7 ns/op\n", errRounds},
		"an operation less": {
			"BenchmarkA/rookery 1 7 ns/op\nBenchmarkB/rookery 1 7 ns/op\nBenchmarkA/rookery 1 7 ns/op\n", errRounds,
		},
		"no figure": {"BenchmarkA/rookery 1 seven ns/op\n", nil},
	} {
		if _, err := read(strings.NewReader(c.output)); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, c := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{4, 1}, 2.5}, {[]float64{9, 1, 2}, 2}, {[]float64{8, 2, 6, 1}, 4}} {
		if got := middle(c.all); got != c.want {
			t.Errorf("%v: %v, want %v", c.all, got, c.want)
		}
	}
}
