// Package envelopes measures what 26/WAKU2-PAYLOAD costs: sealing and opening an
// envelope, and what those cost a courier that are for somebody else.
//
// It owns the operations and what they stand beside: their work on the curve. It does
// not know how they are timed or shown, nor a network.
package envelopes
