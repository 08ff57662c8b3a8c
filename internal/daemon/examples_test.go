package daemon

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The bots of the documentation echo, also what has come before they were started. One
// whose interpreter is not on the machine is said to be untried.
func TestExampleBotsEcho(t *testing.T) {
	for name, command := range map[string][]string{
		"python":     {"python3", filepath.Join("..", "..", "examples", "python", "echo.py")},
		"javascript": {"node", filepath.Join("..", "..", "examples", "javascript", "echo.mjs")},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := exec.LookPath(command[0])
			if err != nil {
				t.Logf("%s is not here: its bot was not tried", command[0])
				return
			}
			h := newHouse(t)
			alice, bot := h.resident("alice"), h.resident("bot")
			alice.knows(bot)
			alice.send(bot, "before", "")
			run := exec.CommandContext(t.Context(), program, command[1])
			run.Env = append(os.Environ(), "ROOKERY_URL="+h.address, "ROOKERY_TOKEN="+bot.token, "ROOKERY_IDENTITY="+bot.key)
			run.Stdout, run.Stderr = h.log, h.log
			run.WaitDelay = time.Minute
			if err := run.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = run.Process.Kill()
				_ = run.Wait()
				if t.Failed() {
					t.Log(h.log.String())
				}
			}()
			answers := alice.listen("")
			for _, text := range []string{"before", "after", "\x00\xff and other bytes"} {
				if text != "before" {
					alice.send(bot, text, "")
				}
				if e := answers.message(); e.text() != text {
					t.Errorf("%q came back as %q", text, e.text())
				}
			}
			eventually(t, "all acknowledged", func() bool { return h.hosting.Counts().Acknowledged == 3 })
		})
	}
}
