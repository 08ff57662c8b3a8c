// Package webhook makes one delivery of an event to an endpoint by HTTP: it signs as
// Standard Webhooks has it, keeps to addresses that it may reach, and says what the
// answer means and when to try again.
//
// It owns the form of secrets and signatures, the rules for URLs and addresses, and the
// schedule of attempts. It does not know events, identities, queues or stores.
package webhook
