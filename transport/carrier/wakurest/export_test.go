package wakurest

import "time"

// Pinging gives options with other times for what is asked of those who serve.
func (o Options) Pinging(every, renew time.Duration) Options {
	o.ping, o.renew = every, renew
	return o
}

// OfAnInstant gives options for fewer messages of one instant.
func (o Options) OfAnInstant(most int) Options {
	o.instant = most
	return o
}

// InAll gives options with another time for a whole answer.
func (o Options) InAll(most time.Duration) Options {
	o.inAll = most
	return o
}

// Slack is how much before the last read a gap begins.
const Slack = slack
