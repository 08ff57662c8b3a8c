package carriertest

import (
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

func canCut(n Network) bool     { return n.Cut != nil }
func canFail(n Network) bool    { return n.Cut != nil || n.Outage != nil }
func canRestart(n Network) bool { return n.Restart != nil }

// cut cuts off p, and others if that is not possible alone.
func (b *bench) cut(p *party) (restore func()) {
	b.Helper()
	if b.network.Cut != nil {
		return b.network.Cut(b, p.Carrier)
	}
	return b.network.Outage(b)
}

var failing = map[string]test{
	"HealthyCarrierSaysSo": {run: func(b *bench) {
		before := time.Now()
		topic := b.topic()
		p := b.open(topic)
		first := p.Health()
		if !first.Ready || first.Err != nil || first.Peers < 1 {
			b.Errorf("health is %+v", first)
		}
		if first.Since.Before(before) || first.Since.After(time.Now()) {
			b.Errorf("ready since %s, opened at %s", first.Since, before)
		}
		m := b.message(topic)
		p.publish(m)
		p.gets(m)
		if now := p.Health(); !now.Since.Equal(first.Since) {
			b.Errorf("Since has changed from %s to %s, though Ready has not", first.Since, now.Since)
		}
	}},

	"HealthFollowsAnOutage": {only: canFail, run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		before := p.Health()
		for range 2 {
			restore := b.cut(p)
			p.isCutOff()
			down := p.Health()
			if !down.Since.After(before.Since) || down.Err == nil {
				b.Errorf("cut off: health is %+v, was %+v", down, before)
			}
			restore()
			p.isReady()
			again := p.Health()
			if !again.Since.After(down.Since) || again.Err != nil || again.Peers < 1 {
				b.Errorf("back: health is %+v, was %+v", again, down)
			}
			before = again
			m := b.message(topic)
			p.publish(m)
			p.flows(p, topic)
		}
	}},

	"MessagesOfAnOutageAreTriedAgain": {past: true, only: canFail, run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		restore := b.cut(p)
		p.isCutOff()
		messages := b.messages(topic, 10)
		results := p.try(messages...)
		time.Sleep(b.network.Quiet)
		for i := range messages {
			if called, err := results.get(i); called && !carrier.Retriable(err) {
				b.Errorf("published while cut off: %v", err)
			}
		}
		restore()
		for i, m := range messages {
			if err := results.wait(i); err != nil {
				if !carrier.Retriable(err) {
					b.Errorf("published while cut off: %v", err)
				}
				p.publish(m)
			}
		}
		if b.network.HasHistory {
			p.gets(messages...)
		}
		p.flows(p, topic)
	}},

	"CloseSettlesWhatAnOutageHoldsUp": {only: canFail, run: func(b *bench) {
		topic := b.topic()
		p := b.open(topic)
		restore := b.cut(p)
		defer restore()
		results := p.try(b.messages(topic, 50)...)
		p.end()
		b.settledByClose(results)
	}},

	"SubscribingDuringAnOutageHolds": {only: canFail, run: func(b *bench) {
		topics := b.topics(2)
		p := b.open(topics[0])
		restore := b.cut(p)
		p.isCutOff()
		b.ends("Subscribe returns", func() { p.subscribe(topics[1]) })
		p.Unsubscribe(topics[0])
		restore()
		p.isReady()
		p.flows(p, topics[1])
	}},

	"MessagesMissedWhileCutOffAreToldOf": {
		past: true,
		only: func(n Network) bool { return canCut(n) && n.HasHistory },
		run: func(b *bench) {
			topic := b.topic()
			p, other := b.open(topic), b.open(topic)
			before := b.messages(topic, 20)
			other.publish(before...)
			p.gets(before...)
			for range 2 {
				restore := b.cut(p)
				missed := b.messages(topic, 200)
				other.publish(missed...)
				other.gets(missed...)
				restore()
				p.gets(missed...)
				p.flows(other, topic)
			}
		},
	},

	"HistoryDuringAnOutageMayBeTriedAgain": {
		past: true,
		only: func(n Network) bool { return canFail(n) && n.HasHistory },
		run: func(b *bench) {
			topic := b.topic()
			p := b.open(topic)
			m := b.message(topic)
			p.publish(m)
			p.keeps(m)
			restore := b.cut(p)
			p.isCutOff()
			ctx, cancel := b.context()
			defer cancel()
			err := p.History(ctx, []carrier.Topic{topic}, 0, far(), func(carrier.Received) error { return nil })
			b.is("history while cut off", err, carrier.ErrUnreachable)
			restore()
			p.isReady()
			p.keeps(m)
		},
	},

	"AcceptedMessagesOutliveARestart": {
		past: true,
		only: func(n Network) bool { return canRestart(n) && n.KeepsAcrossRestart },
		run: func(b *bench) {
			topic := b.topic()
			p, other := b.open(topic), b.open(topic)
			stop := make(chan struct{})
			accepted := make(chan []carrier.Message, 1)
			go func() {
				var taken []carrier.Message
				defer func() { accepted <- taken }()
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						m := b.message(topic)
						if err := p.settled(p.try(m), m); err != nil {
							b.Errorf("publish: %v", err)
							return
						}
						taken = append(taken, m)
					}
				}
			}()
			b.eventually("messages come", func() bool { return other.deliveries() > 20 })
			b.network.Restart(b)
			p.isReady()
			other.flows(p, topic)
			close(stop)
			messages := <-accepted
			p.keeps(messages...)
			p.gets(messages...)
			other.gets(messages...)
		},
	},

	"RestartedNetworkIsFoundAgain": {past: true, only: canRestart, run: func(b *bench) {
		topic := b.topic()
		p, other := b.open(topic), b.open(topic)
		before := b.messages(topic, 30)
		p.publish(before...)
		other.gets(before...)
		if b.network.HasHistory {
			p.keeps(before...)
		}
		b.network.Restart(b)
		p.flows(other, topic)
		other.flows(p, topic)
		if b.network.KeepsAcrossRestart {
			p.keeps(before...)
			b.open().keeps(before...)
		}
	}},
}
