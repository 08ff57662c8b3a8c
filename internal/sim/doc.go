// Package sim is a world in which the rules are tried: identities with several
// installations each, a network that mistreats their messages, and whatever else
// happens to devices. Time and all randomness come from a seed, the cryptography
// is real, and the same seed gives the same trace. It has no code of its own
// beyond its tests, and does not know actors: internal/installation runs the pure
// steps and the records of the engine without them.
//
//	go test ./internal/sim                                        # 2,000 random schedules
//	go test ./internal/sim -run TestRandomSchedules -seeds 100000 -timeout 24h
//	go test ./internal/sim -run TestRandomSchedules -seed 7 -v    # one, with its trace
//	go test ./internal/sim -run TestScenarios -rewrite            # record testdata anew
//
// # Events
//
// A schedule is 100 to 159 events among 1 to 5 identities with 1 to 3
// installations each, in random order (chaos_test.go):
//
//   - messages to contacts and strangers (without a session), some of them sent
//     directly, notes to our own devices, acknowledgements;
//   - envelopes that arrive, overtake others, get lost, come twice, are replayed,
//     changed in a bit, cut, or sent as somebody else's; old contact codes;
//   - crashes, crashes around a write to the disk, writes that fail and may be
//     there all the same, devices that are cut off;
//   - lost state, a restored copy that is noticed or not, two copies at once;
//   - minutes, hours, a day, a week, two weeks, clocks that jump by hours, days,
//     10 years, to 1970 or to the end of time;
//   - new devices, approved, disabled and enabled ones, accepted and denied
//     contacts, bundles by hand, sweeps.
//
// Rare kinds are in about half of the schedules each, so that the others are
// judged more strictly. After them everything is repaired and the consequences
// run out; then everybody writes to everybody (calm_test.go).
//
// # What holds
//
//   - Two such exchanges after the faults have ended, every pair of installations
//     uses the same session and reads each other. Not held to it: who was disabled
//     by the other one's user; who uses a session that a late message has made
//     again and that the other end has denied and forgotten. Not tried: two clocks that are more than a day ahead
//     at once; they believe each other's bundles until that day comes.
//   - A message is reported at most once, unaltered, with its sender, recipient
//     and id. Reported again are only: what was not acknowledged, when a device
//     starts; to a device that was rolled back, what it has forgotten; after a
//     contact was denied, its replayed requests, since nothing is kept of it.
//   - Every message that was durable leaves its sender, copies for our own other
//     devices included, unless its recipient was denied meanwhile. Each of its
//     envelopes is reported, lost by the network, or refused with a cause that the
//     world can explain (excuses_test.go): a duplicate, altered, for others, denied,
//     too old for prekeys and sessions, or the sender or receiver runs from an older
//     state.
//   - No message key seals two messages: ratchet key and number of everything that
//     leaves a device are unique, or the ciphertext is the same.
//   - A refused message changes no record, but for the new prekey and bundle of the
//     answer to it.
//   - At most 40 sessions and 2,000 skipped keys a session are kept, 64
//     installations a contact, and 3 are written to; never a disabled one, and never
//     without a session where one can be made.
//   - No session expires twice, no bundle is older than the one before, alarms
//     accuse nobody without a reason, nothing stays in an outbox.
//
// What protects the envelope is taken as given: who sent it, from which
// installation, with a bundle of whom, and the sender of a message without a
// session are not altered.
//
// # Older states
//
// A device that is restored from a copy and notices goes on as a new
// installation: of the rolled-back one nothing is promised but that nobody is
// deceived. One that does not notice, or that exists twice, uses message
// keys again; its peers refuse what they cannot read, tell that there are two, and
// stay right towards everybody else (T42). Before the end it becomes a new
// installation as well.
//
// Every invariant is shown to fail in a world that is broken on purpose
// (broken_test.go).
package sim
