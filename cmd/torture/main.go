package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/alecthomas/kong"
)

const (
	exitViolation = 1
	exitError     = 2
)

// childCommand is the argument with which this program starts itself.
const childCommand = "child"

func main() {
	if len(os.Args) == 2 && os.Args[1] == childCommand {
		os.Exit(childMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func childMain() int {
	if err := runChild(os.Stdin, os.Stdout, os.Stderr); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "torture child: %v\n", err)
		return exitError
	}
	return 0
}

// command carries out one command line and gives the exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c RunCmd
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("torture"),
		kong.Description("Kills a process with two talking engines again and again, and checks what it promised."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { exited = status }),
	)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	_, err = parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err == nil {
		err = c.Run(ctx, stdout, stderr)
	}
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "torture: %v\n", err)
	if errors.Is(err, errViolated) {
		return exitViolation
	}
	return exitError
}
