package main

import (
	"fmt"
	"io"
	"os"

	"github.com/rookery-im/rookery/internal/curve"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "sidebyside:", err)
		os.Exit(1)
	}
}

// run makes the table of an output. The curve is that of this build: the
// benchmarks are built in the same environment.
func run(output io.Reader, table io.Writer) error {
	r, err := read(output)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(table, "processor time of the process, medians of %d rounds on one thread; %s; curve: %s\n\n", r.rounds, r.processor, curve.Backend)
	r.write(table)
	return nil
}
