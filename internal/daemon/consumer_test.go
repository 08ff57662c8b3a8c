package daemon

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	loadRate = flag.Int("load.rate", 100, "messages a second of the test with consumers that are killed")
	loadTime = flag.Duration("load.time", 3*time.Second, "how long they are sent")
)

// A consumer that is killed and started again at random, while messages come, sees each
// of them at least once, under one id, and none of another identity.
func TestConsumerThatIsKilledSeesEveryMessage(t *testing.T) {
	total := max(1, int(loadTime.Seconds()*float64(*loadRate)))
	h := newHouse(t, func(h *house) { h.quiet = true })
	alice, bob, carol := h.resident("alice"), h.resident("bob"), h.resident("carol")
	alice.knows(bob)
	alice.knows(carol)
	var sending sync.WaitGroup
	begun := time.Now()
	for worker := range 8 {
		sending.Go(func() {
			for n := worker; n < total; n += 8 {
				time.Sleep(time.Until(begun.Add(time.Duration(n) * time.Second / time.Duration(*loadRate))))
				alice.send(bob, fmt.Sprint("b", n), "")
				if n%10 == 0 {
					alice.send(carol, fmt.Sprint("c", n), "")
				}
			}
		})
	}
	random := rand.New(rand.NewPCG(*seed, 1))
	ids, texts := make(map[string]string), make(map[string]string)
	seen, lives, cursor := 0, 0, ""
	for len(texts) < total {
		lives++
		events := bob.listen(cursor)
		for left := 1 + random.IntN(60); left > 0 && len(texts) < total; left-- {
			e := events.message()
			seen++
			text := e.text()
			if e.Identity != bob.key || text[0] != 'b' {
				t.Fatalf("got %q of %s", text, e.Identity)
			}
			if before, ok := ids[e.ID]; ok && before != text {
				t.Fatalf("id %s is of %q and of %q", e.ID, before, text)
			}
			if before, ok := texts[text]; ok && before != e.ID {
				t.Fatalf("%q has ids %s and %s", text, before, e.ID)
			}
			ids[e.ID], texts[text] = text, e.ID
			if random.IntN(3) > 0 { // else it is killed before that, or leaves it for later
				bob.ack(e.ID)
			}
		}
		events.close()
		cursor = "" // one that was killed does not know how far it was
	}
	sending.Wait()
	if lives < 2 || len(texts) != total {
		t.Errorf("%d messages in %d lives", len(texts), lives)
	}
	t.Logf("%d messages, seen %d times, by a consumer that was killed %d times, in %v; repeat: -seed %d", total, seen, lives-1, time.Since(begun), *seed)
}
