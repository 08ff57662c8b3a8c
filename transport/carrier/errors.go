package carrier

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed: the carrier is closed.
	ErrClosed = errors.New("carrier: closed")
	// ErrMessage: topic or payload are out of bounds, or the network refuses them
	// for good. Trying again does not help.
	ErrMessage = errors.New("carrier: message cannot be carried")
	// ErrUnreachable: the network cannot be reached, or has nobody to hand a message
	// to. It is tried again.
	ErrUnreachable = errors.New("carrier: network is not reachable")
	// ErrBusy: the network wants us to slow down. It is tried again.
	ErrBusy = errors.New("carrier: network is busy")
	// ErrNoHistory: the network keeps no history.
	ErrNoHistory = errors.New("carrier: no history")
	// ErrHistory: what the network answers as its history makes no sense.
	ErrHistory = errors.New("carrier: history makes no sense")
	// ErrOptions: an option is missing or out of bounds.
	ErrOptions = errors.New("carrier: options")
)

// Retriable tells whether what failed may succeed later.
func Retriable(err error) bool { return errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBusy) }

// Check gives ErrMessage for what no network carries.
func (m *Message) Check() error {
	if err := m.Topic.Check(); err != nil {
		return err
	}
	if len(m.Payload) == 0 || len(m.Payload) > MaxPayload {
		return fmt.Errorf("%w: payload of %d bytes", ErrMessage, len(m.Payload))
	}
	if m.Time <= 0 {
		return fmt.Errorf("%w: time %d", ErrMessage, m.Time)
	}
	return nil
}

// Check gives ErrMessage for what is no topic.
func (t Topic) Check() error {
	if t == "" || len(t) > MaxTopic {
		return fmt.Errorf("%w: topic of %d bytes", ErrMessage, len(t))
	}
	for i := range len(t) {
		if t[i] <= ' ' || t[i] > '~' {
			return fmt.Errorf("%w: topic %q", ErrMessage, string(t))
		}
	}
	return nil
}
