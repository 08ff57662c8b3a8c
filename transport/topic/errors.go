package topic

import "errors"

var (
	// ErrContentTopic: not the content topic of a topic of deployed clients.
	ErrContentTopic = errors.New("topic: no content topic")
	// ErrIdentity: an identity key is not on the curve.
	ErrIdentity = errors.New("topic: invalid identity key")
	// ErrChat: a public chat cannot have such a name.
	ErrChat = errors.New("topic: invalid name of a public chat")
	// ErrKind: a name of another kind is needed here.
	ErrKind = errors.New("topic: wrong kind of name")
	// ErrBusy: as many keys are waited for, or to be derived ahead, as there may
	// be. It can be tried again.
	ErrBusy = errors.New("topic: too many keys are wanted")
	// ErrClosed: the Keys are closed.
	ErrClosed = errors.New("topic: keys are closed")
)
