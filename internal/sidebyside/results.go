package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The rows that stand in columns of the first table; any other one has a line in
// the second.
const (
	own       = "rookery"
	reference = "reference"
	floor     = "floor"
	least     = "least"
)

var (
	errNothing = errors.New("no benchmark with a row named " + own)
	errRounds  = errors.New("rows are not measured equally often")
)

// figures are what one round has given.
type figures struct {
	// For one operation. ns is processor time where the benchmark reports it, and
	// else the time that has passed.
	ns, bytes, allocations float64
}

// operation is what is done in several ways.
type operation struct {
	name string
	rows []string // in the order of their appearance
	by   map[string][]figures
}

// results are what was measured, in the order of its appearance.
type results struct {
	processor  string
	rounds     int
	operations []*operation
}

// processors is the suffix of a name that says GOMAXPROCS when that is not 1.
var processors = regexp.MustCompile(`-[0-9]+$`)

// read takes the output of one or more runs of the benchmarks. Operations that
// were not measured as Rookery does them are left out.
func read(from io.Reader) (*results, error) {
	r := &results{}
	named := map[string]*operation{}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if cpu, ok := strings.CutPrefix(lines.Text(), "cpu: "); ok {
			r.processor = cpu
			continue
		}
		name, f, ok, err := parse(lines.Text())
		if err != nil {
			return nil, err
		}
		cut := strings.LastIndexByte(name, '/')
		if !ok || cut < 0 {
			continue
		}
		of, row := name[:cut], name[cut+1:]
		op := named[of]
		if op == nil {
			op = &operation{name: of, by: map[string][]figures{}}
			named[of] = op
			r.operations = append(r.operations, op)
		}
		if op.by[row] == nil {
			op.rows = append(op.rows, row)
		}
		op.by[row] = append(op.by[row], f)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	r.operations = slices.DeleteFunc(r.operations, func(op *operation) bool { return op.by[own] == nil })
	if len(r.operations) == 0 {
		return nil, errNothing
	}
	r.rounds = len(r.operations[0].by[own])
	for _, op := range r.operations {
		for _, row := range op.rows {
			if n := len(op.by[row]); n != r.rounds {
				return nil, fmt.Errorf("%w: %s/%s %d times, others %d", errRounds, op.name, row, n, r.rounds)
			}
		}
	}
	return r, nil
}

// parse takes "BenchmarkX/y 100 12.5 ns/op 12.1 cpu-ns/op 48 B/op 1 allocs/op"; a
// line that is no result is not ok.
func parse(line string) (name string, f figures, ok bool, err error) {
	fields := strings.Fields(line)
	if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", f, false, nil
	}
	name = processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
	processor := false
	for i := 2; i+1 < len(fields); i += 2 {
		value, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return "", f, false, fmt.Errorf("%s: %q is no figure", fields[0], fields[i])
		}
		switch fields[i+1] {
		case "ns/op":
			ok = true
			if !processor {
				f.ns = value
			}
		case "cpu-ns/op":
			f.ns, processor = value, true
		case "B/op":
			f.bytes = value
		case "allocs/op":
			f.allocations = value
		}
	}
	return name, f, ok, nil
}
