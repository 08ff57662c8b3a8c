package carriertest

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

var closing = map[string]test{
	"ClosedCarrierRefuses": {past: true, run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		m := b.message(topic)
		p.publish(m)
		p.gets(m)
		p.end()
		b.is("publish", p.try(b.message(topic)).wait(0), carrier.ErrClosed)
		b.is("subscribe", p.Subscribe(b.Context(), b.topic()), carrier.ErrClosed)
		p.Unsubscribe(topic)
		ctx, cancel := b.context()
		defer cancel()
		err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error { return nil })
		if !errors.Is(err, carrier.ErrClosed) && (b.network.HasHistory || !errors.Is(err, carrier.ErrNoHistory)) {
			b.Errorf("history: got error %v, want %v", err, carrier.ErrClosed)
		}
		if p.Health().Ready {
			b.Errorf("a closed carrier says it is ready")
		}
		p.end()
	}},

	"NothingIsDeliveredAfterClose": {run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open(topic)
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Millisecond):
					other.Publish(b.message(topic), func(error) {})
				}
			}
		}()
		b.eventually("messages come", func() bool { return p.deliveries() > 10 })
		p.end()
		calls := p.deliveries()
		time.Sleep(b.network.Quiet)
		if now := p.deliveries(); now != calls {
			b.Errorf("%d messages were delivered after Close", now-calls)
		}
		close(stop)
		<-done
		last := b.message(topic)
		other.publish(last)
		other.gets(last)
	}},

	"CloseWaitsForTheReceiver": {run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open()
		p.block()
		other.publish(b.messages(topic, 5)...)
		b.eventually("a message is delivered", func() bool { return p.deliveries() > 0 })
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := p.Close(); err != nil {
				b.Errorf("Close: %v", err)
			}
		}()
		select {
		case <-done:
			b.Errorf("Close returned while a message is being delivered")
		case <-time.After(b.network.Quiet):
		}
		p.release()
		b.closes("Close returns", done)
		calls := p.deliveries()
		time.Sleep(b.network.Quiet)
		if now := p.deliveries(); now != calls {
			b.Errorf("%d messages were delivered after Close", now-calls)
		}
	}},

	"CloseSettlesWhatIsBeingPublished": {run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		results := p.try(b.messages(topic, 500)...)
		p.end()
		b.settledByClose(results)
	}},

	"ManyCloseAtOnceWhileOthersPublish": {run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		var wait sync.WaitGroup
		all := make([]*results, 4)
		for i := range all {
			messages := b.messages(topic, 200)
			wait.Go(func() { all[i] = p.try(messages...) })
		}
		for range 3 {
			wait.Go(func() {
				time.Sleep(time.Millisecond)
				p.end()
			})
		}
		b.ends("all return", wait.Wait)
		for _, results := range all {
			b.settledByClose(results)
		}
	}},

	"CloseEndsHistory": {past: true, only: hasHistory, run: func(b *bench) {
		topic := b.topic()
		p := b.open()
		messages := b.messages(topic, 250)
		p.publish(messages...)
		p.keeps(messages...)
		at, goOn := make(chan struct{}), make(chan struct{})
		result := make(chan error, 1)
		go func() {
			calls := 0
			result <- p.History(b.Context(), []carrier.Topic{topic}, 0, far(), func(carrier.Received) error {
				if calls++; calls == 2 {
					close(at)
					<-goOn
				}
				return nil
			})
		}()
		b.closes("history calls", at)
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			if err := p.Close(); err != nil {
				b.Errorf("Close: %v", err)
			}
		}()
		time.Sleep(b.network.Quiet)
		close(goOn)
		b.closes("Close returns", closed)
		select {
		case err := <-result:
			if err != nil && !errors.Is(err, carrier.ErrClosed) {
				b.Errorf("history ended by Close: %v", err)
			}
		case <-time.After(b.network.Patience):
			b.Fatal("history does not end")
		}
	}},

	"UnusedCarrierCloses": {run: func(b *bench) {
		p := b.openBare()
		p.end()
		p.end()
	}},

	"ClosedCarriersLeaveNothingRunning": {run: func(b *bench) {
		const carriers = 12
		topic := b.topic()
		stays := b.open(topic) // what the network has for a carrier is there already
		use := func() {
			p := b.open(topic)
			m := b.message(topic)
			p.publish(m)
			p.gets(m)
			stays.gets(m)
			p.end()
		}
		use()
		before := runtime.NumGoroutine()
		for range carriers {
			use()
		}
		b.eventually("what closed carriers have started ends", func() bool { return runtime.NumGoroutine() < before+carriers/2 })
	}},

	"ClosingOneLeavesTheOthers": {run: func(b *bench) {
		topic := b.topic()
		first, second, third := b.open(topic), b.open(topic), b.open(topic)
		first.end()
		m := b.message(topic)
		second.publish(m)
		second.gets(m)
		third.gets(m)
	}},
}

// settledByClose holds that each message has its one result when Close has returned.
func (b *bench) settledByClose(r *results) {
	b.Helper()
	if n := r.pending(); n > 0 {
		b.Errorf("Close has returned, and accepted was not called for %d of %d messages", n, len(r.calls))
	}
	for i := range r.calls {
		if called, err := r.get(i); called && err != nil && !errors.Is(err, carrier.ErrClosed) && !carrier.Retriable(err) {
			b.Errorf("a message at Close got %v", err)
		}
	}
}
