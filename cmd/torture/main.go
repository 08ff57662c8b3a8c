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

// The arguments with which this program starts itself.
const (
	childCommand   = "child"
	speakerCommand = "speaker"
	keeperCommand  = "keeper"
)

func main() {
	if status, isOurs := started(os.Args); isOurs {
		os.Exit(status)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(command(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// started runs what this program has started itself for.
func started(args []string) (status int, isOurs bool) {
	if len(args) != 2 {
		return 0, false
	}
	var err error
	switch args[1] {
	case childCommand:
		err = runChild(os.Stdin, os.Stdout, os.Stderr)
	case speakerCommand:
		err = runSpeaker(os.Stdin, os.Stdout, os.Stderr)
	case keeperCommand:
		err = runKeeper(os.Stdin, os.Stdout)
	default:
		return 0, false
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "torture %s: %v\n", args[1], err)
		return exitError, true
	}
	return 0, true
}

// commandLine is what the program can be told.
type commandLine struct {
	Engines  RunCmd      `cmd:"" default:"withargs" help:"Kill a process with two engines, with a network of its own; this is what is done without a command."`
	Exchange ExchangeCmd `cmd:"" help:"Kill two processes that talk over a network, NATS or Waku, and what keeps their messages."`
}

// command carries out one command line and gives the exit status.
func command(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c commandLine
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
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	switch {
	case err != nil:
	case parsed.Command() == "exchange":
		err = c.Exchange.Run(ctx, stdout, stderr)
	default:
		err = c.Engines.Run(ctx, stdout, stderr)
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
