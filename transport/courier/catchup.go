package courier

import (
	"errors"
	"math"
	"time"

	"github.com/rookery-im/rookery/transport/carrier"
)

const (
	// readers is how many groups are read at a time.
	readers = 4
	// A reading that failed is done again: soon if the network is away, and slowly if
	// what it says makes no sense.
	readAgain, readAgainMost         = time.Second, 5 * time.Minute
	nonsenseAgain, nonsenseAgainMost = time.Minute, time.Hour
	// planRests is how many times as long as it has taken a plan is not made again:
	// it looks at all routes, and nothing is delivered meanwhile.
	planRests = 20
)

// wakeReaders has the readers see what is due.
func (c *Courier) wakeReaders() {
	select {
	case c.toRead <- struct{}{}:
	default:
	}
}

// readAll reads the history of what is due, until the courier is closed.
func (c *Courier) readAll() {
	slots := make(chan struct{}, readers)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		began := time.Now()
		groups, wait := c.plan()
		rest := planRests * time.Since(began)
		for _, g := range groups {
			select {
			case <-c.ctx.Done():
				return
			case slots <- struct{}{}:
			}
			c.running.Go(func() {
				c.read(g)
				<-slots
				c.wakeReaders()
			})
		}
		timer.Reset(wait)
		select {
		case <-c.ctx.Done():
			return
		case <-c.toRead:
		case <-timer.C:
		}
		if rest -= time.Since(began); rest <= 0 {
			continue
		}
		timer.Reset(rest)
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// plan begins the reading of all routes that are due, and tells how long until there
// are others.
func (c *Courier) plan() ([]*group, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	next := now + int64(time.Hour)
	var due []*route
	for _, r := range c.coverage.routes {
		is, when := c.coverage.due(r, now)
		if is {
			due = append(due, r)
			c.coverage.begin(r)
		} else {
			next = min(next, when)
		}
	}
	groups := groupsOf(due, now, func(r *route) int64 { return c.coverage.since(r, now) })
	for _, g := range groups {
		for _, r := range g.routes {
			r.group = g
		}
	}
	return groups, max(time.Duration(next-now), time.Millisecond)
}

// reading is the history of a group being read.
type reading struct {
	*group
	courier     *Courier
	since, last int64 // places
	until       int64
	count       int
	newest      map[*route][]carrier.Received // contact codes
	hurried     bool                          // it waits for no subscriber any more
}

// read reads the history of a group.
func (c *Courier) read(g *group) {
	began := c.now()
	r := &reading{
		group: g, courier: c, since: g.since, last: g.since, until: began + int64(c.options.Overlap),
		newest: make(map[*route][]carrier.Received),
	}
	err := c.options.Carrier.History(c.ctx, g.topics, r.since, r.until, r.each)
	r.takeNewest()
	none := errors.Is(err, carrier.ErrNoHistory)
	o := outcome{through: err == nil || none, at: r.last, headway: !r.lied && r.last-r.since > headway}
	switch {
	case o.through:
		o.at = began
	case r.lied || r.last == r.since:
		o.at = math.MinInt64
	}
	least, most := readAgain, readAgainMost
	if errors.Is(err, carrier.ErrHistory) {
		least, most = nonsenseAgain, nonsenseAgainMost
	}
	o.wait = func(tries int) time.Duration { return c.backoff(least, most, tries) }
	c.mu.Lock()
	if none {
		c.noHistory, c.coverage.lookBack = true, 0
	}
	c.hasHistory = c.hasHistory || err == nil
	now := c.now()
	for _, route := range g.routes {
		c.coverage.finish(route, o, now)
	}
	freed := r.ended()
	c.writeLater()
	before := c.historyErr
	if c.ctx.Err() == nil {
		c.historyErr = err
		if none {
			c.historyErr = nil
		}
	}
	c.mu.Unlock()
	for _, of := range freed {
		c.drain(of, func() { r.keepOrder(of.content) })
	}
	c.tellReading(err, before, none)
}

// tellReading counts a reading, and says so when failing begins or ends.
func (c *Courier) tellReading(err, before error, none bool) {
	switch {
	case c.ctx.Err() != nil:
	case none:
		c.counts.readings.Add(1)
	case err != nil:
		c.counts.failedReadings.Add(1)
		if before == nil {
			c.log.Warn("the history cannot be read", "error", err)
		}
	default:
		c.counts.readings.Add(1)
		if before != nil {
			c.log.Info("the history can be read again")
		}
	}
}

// each takes a message of the history.
func (r *reading) each(m carrier.Received) error {
	c := r.courier
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if r.count++; r.count > c.options.MaxHistory {
		return ErrEndless
	}
	at := m.At
	if at < r.last || at >= r.until {
		// Whoever keeps the history may put anything there. It is taken all the same,
		// and none of its places is believed until the end.
		c.counts.lies.Add(1)
		c.mu.Lock()
		r.lied = true
		c.mu.Unlock()
		at = r.since
	} else {
		r.last = at
	}
	if r.codes {
		c.readCode(r, m, at)
		return nil
	}
	r.passed(&m.Message, at)
	r.keepOrder(m.Topic)
	if a := c.admit(m, at, r.group); a != nil {
		c.openNow(a)
	}
	return nil
}

// inOrderFor is how long a reading waits for a subscriber.
const inOrderFor = 10 * time.Second

// keepOrder waits while a subscriber has refused what came before and has not dealt with
// it: what is later would overtake it, and whoever decrypts it cannot take more than so
// much out of order. One that goes on refusing is not waited for again: it must not hold
// up those that are read together with it.
func (r *reading) keepOrder(content carrier.Topic) {
	c := r.courier
	c.mu.Lock()
	defer c.mu.Unlock()
	var began time.Time
	for !r.hurried && !c.closed && c.retried(r.byName[content]) {
		if began.IsZero() {
			began = time.Now()
			timer := time.AfterFunc(inOrderFor, func() {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.room.Broadcast()
			})
			defer timer.Stop()
		} else if time.Since(began) >= inOrderFor {
			r.hurried = true
			return
		}
		c.room.Wait()
	}
}

// retried tells whether one who listens on any of the routes is to be given something
// again. The lock is held.
func (c *Courier) retried(routes []*route) bool {
	for _, r := range routes {
		if s := c.subscriptions[r.logical]; s != nil && s.retried > 0 {
			return true
		}
	}
	return false
}

// Of contact codes the newest ones of the history are delivered: several, since each
// installation of an identity publishes its own.
const (
	newestCodes = 8
	codeBytes   = 256 << 10
)

// readCode takes a contact code of the history, if it is one.
func (c *Courier) readCode(r *reading, m carrier.Received, at int64) {
	c.counts.received.Add(1)
	i := idOf(&m.Message)
	c.mu.Lock()
	routes := c.wanting(i, m.Topic, at, r.group)
	c.mu.Unlock()
	if len(routes) == 0 {
		return
	}
	all, _ := c.open(c.ctx, &arrival{payload: m.Payload, routes: routes})
	for _, f := range all {
		if f.verdict == opened {
			r.keepNewest(f.route, m)
			return
		}
	}
	c.tally(all)
	c.pass(i, routes)
}

// keepNewest keeps a contact code and lets go of older ones.
func (r *reading) keepNewest(of *route, m carrier.Received) {
	all := append(r.newest[of], m)
	size := 0
	for _, one := range all {
		size += len(one.Payload)
	}
	for len(all) > newestCodes || size > codeBytes && len(all) > 1 {
		r.courier.counts.outdated.Add(1)
		r.courier.pass(idOf(&all[0].Message), []*route{of})
		size -= len(all[0].Payload)
		all = all[1:]
	}
	r.newest[of] = all
}

// takeNewest has those delivered that are left.
func (r *reading) takeNewest() {
	for of, all := range r.newest {
		for _, m := range all {
			// They are known to be for this route. Their places need not be believed: one
			// that is not settled has the group read again.
			if a := r.courier.admit(m, r.since, r.group); a != nil {
				r.courier.openNow(a)
			}
		}
		delete(r.newest, of)
	}
}

// pass notes that a message is nothing for some routes.
func (c *Courier) pass(i id, routes []*route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others.add(i.on(routes...), c.now())
	c.writeLater()
}
