package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestAskReturnsTheAnswer(t *testing.T) {
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "echo", echoProbe)
	for i := range 100 {
		mustAsk(t, ref, i)
	}
}

func TestAskEndsWithItsContext(t *testing.T) {
	system := newTestSystem(t, Options{})
	received := make(chan Reply[int], 1)
	ref := spawn(t, system, "silent", func() Actor {
		return &probe{receive: func(_ *Context, message any) error {
			received <- message.(ping).Reply
			return nil
		}}
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		(<-received).channel <- outcome[int]{}
		cancel()
	}()
	// The answer was there before the context ended, so it counts.
	if _, err := Ask(ctx, ref, func(r Reply[int]) any { return ping{Reply: r} }); err != nil {
		t.Errorf("an answer in time was lost: %v", err)
	}

	ended, end := context.WithCancel(context.Background())
	go func() {
		<-received
		end()
	}()
	if _, err := Ask(ended, ref, func(r Reply[int]) any { return ping{Reply: r} }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	built := false
	if _, err := Ask(ended, ref, func(r Reply[int]) any { built = true; return ping{Reply: r} }); !errors.Is(err, context.Canceled) || built {
		t.Errorf("with an ended context: got %v, message built: %t", err, built)
	}
}

func TestReplyTakesTheFirstAnswerOnly(t *testing.T) {
	refusal := errors.New("refused")
	channel := Reply[int]{channel: make(chan outcome[int], 1)}
	channel.Send(1)
	channel.Fail(refusal)
	if o := <-channel.channel; o.value != 1 || o.err != nil {
		t.Errorf("channel: got %+v", o)
	}

	var got []string
	function := ReplyFunc(func(value int, err error) { got = append(got, fmt.Sprint(value, err)) })
	function.Fail(refusal)
	function.Send(2)
	if len(got) != 1 || got[0] != "0 refused" {
		t.Errorf("function: got %q", got)
	}

	Reply[int]{}.Send(3) // dropped, not a panic
}

func TestAskOfAStoppedActorFails(t *testing.T) {
	system := newTestSystem(t, Options{})
	ref := spawn(t, system, "echo", echoProbe)
	if err := system.Stop(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t, ref, 1); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
	if _, err := ask(t, Ref{}, 1); !errors.Is(err, ErrStopped) {
		t.Errorf("zero Ref: got %v, want ErrStopped", err)
	}
	if got := system.Undelivered(); got != 1 {
		t.Errorf("undelivered: got %d, want 1", got)
	}
}

// Askers that race with the stop hit every gap: the queue behind the stop, the
// mailbox after it, the registry. Each gets an answer.
func TestAskRacingWithStopNeverHangs(t *testing.T) {
	system := newTestSystem(t, Options{})
	var wg sync.WaitGroup
	for i := range 300 {
		ref := spawn(t, system, fmt.Sprint("echo", i), echoProbe)
		for range 4 {
			wg.Go(func() {
				for n := range 10 {
					if got, err := ask(t, ref, n); err != nil && !errors.Is(err, ErrStopped) || err == nil && got != n {
						t.Errorf("got %d, %v", got, err)
					}
				}
			})
		}
		wg.Go(func() {
			if err := system.Stop(t.Context(), ref); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
