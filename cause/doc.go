// Package cause names why something could not be done: what contacts, their
// messages, the network or the store had against it. A call of package rookery
// that fails gives one of them, or one of the errors of that package, which are
// about the call itself: its arguments, and whether the engine and the identity
// are still there. The events Refused, Alarm and Unsent carry them too.
//
// All are for errors.Is. What each means and what to do is in docs/errors.md.
//
// The package owns these names. It defines next to none of the errors: they are
// those of the packages that find the cause, which it saves its users to know.
package cause
