package actors

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/asynkron/protoactor-go/actor"
)

// One run handles what comes while it lasts, what protoactor posts before any other
// message.
func TestSystemMessagesComeBeforeEachMessage(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	owner.onMessage = func(message any) {
		if message == "one" {
			mailbox.PostUserMessage("three")
			mailbox.PostSystemMessage(&actor.Watch{})
			mailbox.PostSystemMessage(&actor.Unwatch{})
		}
	}
	mailbox.PostUserMessage("one")
	mailbox.PostUserMessage("two")
	if n := runScheduled(mailbox); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	want := "[*actor.Started one *actor.Watch *actor.Unwatch two three]"
	if got := fmt.Sprint(owner.invoked); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A suspended mailbox is not even run for the messages that wait in it.
func TestSuspendedMailboxHandlesSystemMessagesOnly(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	mailbox.PostSystemMessage(&actor.SuspendMailbox{})
	mailbox.PostUserMessage("one")
	runScheduled(mailbox)
	mailbox.PostUserMessage("two")
	if n := runScheduled(mailbox); n != 0 {
		t.Errorf("%d runs of a suspended mailbox", n)
	}
	mailbox.PostSystemMessage(&actor.Watch{})
	mailbox.PostSystemMessage(&actor.ResumeMailbox{})
	runScheduled(mailbox)
	if got, want := fmt.Sprint(owner.invoked), "[*actor.Started *actor.Watch one two]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// After a panic, in whichever message, the same run goes on with what it may handle.
func TestRunGoesOnAfterAPanic(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	owner.onMessage = func(message any) {
		if _, ok := message.(*actor.Watch); ok {
			panic("bug")
		}
	}
	mailbox.PostUserMessage(errors.New("commit failed"))
	mailbox.PostUserMessage("waits")
	mailbox.PostSystemMessage(&actor.Watch{})
	mailbox.PostSystemMessage(&actor.Unwatch{})
	if n := runScheduled(mailbox); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
	mailbox.PostSystemMessage(&actor.Restart{})
	runScheduled(mailbox)
	want := "[*actor.Started *actor.Watch escalate *actor.Unwatch *actor.Restart commit failed escalate]"
	if got := fmt.Sprint(owner.invoked); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	owner.onMessage = nil
	mailbox.PostSystemMessage(&actor.Restart{})
	runScheduled(mailbox)
	if got, want := fmt.Sprint(owner.invoked[7:]), "[*actor.Restart waits]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Many post to one actor, some with pauses in which its run ends, and it is suspended and
// resumed meanwhile: all is handled, each sender's in order, by one run at a time.
func TestNoPostIsLostAtTheEndOfARun(t *testing.T) {
	const senders, each = 8, 3000
	system := newTestSystem(t, Options{})
	over := make(chan struct{})
	var next [senders]int // by one run at a time: else the race detector sees it
	left := senders * each
	var runs atomic.Int32
	ref := spawn(t, system, "counting", func() Actor {
		return &probe{receive: func(_ *Context, message any) error {
			if n := runs.Add(1); n != 1 {
				t.Errorf("%d runs at the same time", n)
			}
			defer runs.Add(-1)
			m := message.(line)
			if m.number != next[m.sender] {
				t.Errorf("sender %d: got %d, want %d", m.sender, m.number, next[m.sender])
			}
			next[m.sender]++
			if left--; left == 0 {
				close(over)
			}
			return nil
		}}
	})
	named, _ := system.named.Load(ref.String())
	mailbox := named.(*root).mailbox
	var all sync.WaitGroup
	for sender := range senders {
		all.Go(func() {
			for number := range each {
				mailbox.PostUserMessage(line{sender, number})
				switch {
				case sender == 0 && number%10 == 0:
					mailbox.PostSystemMessage(&actor.SuspendMailbox{})
					mailbox.PostSystemMessage(&actor.ResumeMailbox{})
				case number%(sender+2) == 0:
					runtime.Gosched()
				}
			}
		})
	}
	all.Wait()
	await(t, over, "all messages")
}

// Whoever posts only when the last message was handled posts while its run ends.
func TestPostAtTheEndOfARunStartsTheNext(t *testing.T) {
	system := newTestSystem(t, Options{})
	one, other := make(chan struct{}, 1), make(chan struct{}, 1)
	turn := func(tell chan struct{}) func() Actor {
		return func() Actor {
			return &probe{receive: func(*Context, any) error { tell <- struct{}{}; return nil }}
		}
	}
	first, second := spawn(t, system, "first", turn(one)), spawn(t, system, "second", turn(other))
	guard := time.NewTimer(time.Minute)
	defer guard.Stop()
	for n := range 20_000 {
		first.Tell(n)
		second.Tell(n)
		for _, c := range []chan struct{}{one, other} {
			select {
			case <-c:
			case <-guard.C:
				t.Fatalf("round %d: nobody handles it", n)
			}
		}
	}
}

// What was handled hangs from no mailbox, however many waited and whatever comes after.
func TestHandledMessagesAreNotKept(t *testing.T) {
	for _, n := range []int{1, 2, 3, 9, 100} {
		mailbox, owner := newFakeMailbox()
		owner.quiet = true
		type key [64]byte
		var taken []weak.Pointer[key]
		for range n {
			secret := new(key)
			taken = append(taken, weak.Make(secret))
			mailbox.PostUserMessage(secret)
		}
		runScheduled(mailbox)
		runtime.GC()
		for i := range taken {
			if taken[i].Value() != nil {
				t.Errorf("message %d of %d is still there", i, n)
			}
		}
		runtime.KeepAlive(mailbox)
	}
}

// Nor does a notice hang from the queue while others wait behind it.
func TestTakenNoticeIsNotKept(t *testing.T) {
	var q queue
	first := weakNotice(&q)
	q.postSystem(&actor.Watch{})
	q.take()
	runtime.GC()
	if first.Value() != nil {
		t.Error("the notice is still there")
	}
	if _, from := q.take(); from != fromSystem {
		t.Error("the second is lost")
	}
}

func weakNotice(q *queue) weak.Pointer[actor.Terminated] {
	notice := &actor.Terminated{Who: actor.NewPID("here", "child")}
	q.postSystem(notice)
	return weak.Make(notice)
}

func TestMailboxGivesTheRoomOfABurstBack(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	owner.quiet = true
	for n := range 1000 {
		mailbox.PostUserMessage(n)
	}
	if n := len(mailbox.queue.user.places); n < 1000 {
		t.Fatalf("%d places for 1,000 messages", n)
	}
	runScheduled(mailbox)
	if n := len(mailbox.queue.user.places); n > keptPlaces {
		t.Errorf("%d places are left", n)
	}
}

func TestPostAndRunAllocateNothing(t *testing.T) {
	mailbox, owner := newFakeMailbox()
	owner.quiet = true
	message := any(&struct{ a int }{})
	for _, waiting := range []int{1, 2, keptPlaces} {
		n := testing.AllocsPerRun(100, func() {
			for range waiting {
				mailbox.PostUserMessage(message)
			}
			runScheduled(mailbox)
		})
		if n != 0 {
			t.Errorf("%d at a time: %v allocations", waiting, n)
		}
	}
}

// A size class more for each actor would not be noticed anywhere else.
func TestMailboxIsThreeCacheLines(t *testing.T) {
	if size := reflect.TypeFor[guardedMailbox]().Size(); size > 3*64 {
		t.Errorf("%d bytes, want at most %d", size, 3*64)
	}
}
