package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/alecthomas/kong"

	_ "github.com/rookery-im/rookery/internal/arenas" // less memory for the cache of stores
	"github.com/rookery-im/rookery/internal/bench"
	"github.com/rookery-im/rookery/internal/goheap"
	"github.com/rookery-im/rookery/internal/undumpable"
)

// commands is the command line.
type commands struct {
	Identity IdentityCmd `cmd:"" help:"The identities of a store: create, import, list, show, qr, delete."`
	Contact  ContactCmd  `cmd:"" help:"Whom an identity knows: add, list, show, accept, deny, block, unblock."`
	Device   DeviceCmd   `cmd:"" help:"The devices of an identity or a contact: list, approve, disable."`
	Session  SessionCmd  `cmd:"" help:"Why something cannot be read: explain."`
	Doctor   DoctorCmd   `cmd:"" help:"Why does it not work? Looks at a store and its network, and says what is wrong and what to do. Writes nothing."`
	Send     SendCmd     `cmd:"" help:"Send a message to a contact."`
	Listen   ListenCmd   `cmd:"" help:"Print what comes, and acknowledge it."`
	Serve    ServeCmd    `cmd:"" help:"Serve the identities of a store to programs in any language (docs/daemon.md)."`
	Token    TokenCmd    `cmd:"" help:"Who may call the daemon: create, list, revoke."`
	Webhook  WebhookCmd  `cmd:"" help:"Webhooks of the daemon: create, list, resume, delete, and what they could not deliver (docs/webhooks.md)."`
	Demo     DemoCmd     `cmd:"" help:"Host identities in this process and let them talk."`
	Bench    BenchCmd    `cmd:"" help:"Measure the engine and its parts, each beside what it is compared with."`
	Load     LoadCmd     `cmd:"" help:"Put an engine under load and measure it: scenarios, create, compare."`
	Replay   ReplayCmd   `cmd:"" help:"Run recordings of the deployed reference through our core."`
	Store    StoreCmd    `cmd:"" help:"Look after a store: check, stats, backup, restore, rekey, passwd."`
	Health   HealthCmd   `cmd:"" help:"Ask a daemon whether it lives and takes requests."`
	Version  VersionCmd  `cmd:"" help:"Say which version this is and which cryptography it uses."`

	Completion CompletionCmd `cmd:"" help:"Print what makes bash, zsh or fish complete command lines."`
}

const (
	exitBadResult = 1
	exitError     = 2
)

func main() {
	if err := undumpable.Process(); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "rookery: a crash may leave keys in a core file: %v\n", err)
	}
	addProcessor()
	_ = goheap.UseHugePages() // it is as it was without
	goheap.CollectSeldom()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// addProcessor gives Go one processor more than it takes by itself: one waits for the disk
// most of the time that messages are under way, and Go notices only after up to 10 ms
// that others could have it. What the environment says stays.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}

// run carries out one command line and gives the exit status.
func run(args []string, stdin io.Reader, stdout io.Writer, stderr *os.File) int {
	var c commands
	exited := -1
	parser, err := kong.New(&c,
		kong.Name("rookery"),
		kong.Description("Hosts thousands of end-to-end-encrypted identities in one process."),
		kong.UsageOnError(),
		kong.Vars{"bench_sections": strings.Join(bench.Sections(), ", ")},
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { exited = status }),
	)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	if len(args) > 0 && args[0] == completeWords {
		for _, word := range candidates(parser.Model.Node, args[1:]) {
			_, _ = fmt.Fprintln(stdout, word)
		}
		return 0
	}
	command, err := parser.Parse(args)
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "rookery: %s\n", said(err))
		return exitError
	}
	err = command.Run(&output{stdin: stdin, stdout: stdout, progress: newProgress(stderr)}, command)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(stderr, "rookery: %s\n", said(err))
	if errors.Is(err, errBadResult) {
		return exitBadResult
	}
	return exitError
}

// errBadResult is what every error means that tells of a bad result rather than
// of a command that could not be carried out.
var errBadResult = errors.New("bad result")
