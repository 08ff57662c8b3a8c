package main

import (
	"os"

	"github.com/alecthomas/kong"
)

type cli struct {
	Demo DemoCmd `cmd:"" help:"Host identities in this process and let them talk."`
}

func main() {
	var c cli
	ctx := kong.Parse(&c, kong.Name("rookery"))
	ctx.FatalIfErrorf(ctx.Run(&output{stdout: os.Stdout, progress: newProgress(os.Stderr)}))
}
