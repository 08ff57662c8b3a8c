package rookery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rookery-im/rookery/actors"
	"github.com/rookery-im/rookery/deviceactor"
	"github.com/rookery-im/rookery/internal/keypool"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/transport/courier"
)

// sweepEvery is how often idle actors are looked for and refused publications
// are tried again.
const sweepEvery = 5 * time.Second

// Engine hosts identities on one store and one transport.
type Engine struct {
	options   Options
	store     persistence.Store
	disk      ownStore // zero with a store of the user's
	committer *persistence.Committer
	system    *actors.System
	keys      *keypool.Pool    // the randomness of the actors
	courier   *courier.Courier // nil with a transport of the user's
	// handler takes events, and tells whether somebody has seen to one; nil: nobody
	// wants any.
	handler   func(Event) bool
	offers    *offers // nil without Options.Events
	admission *actors.Admission[conversation]
	senders   validSenders
	counters  deviceactor.Counters
	underKey  keyed
	// acknowledged counts the messages that are durably out of the inbox.
	acknowledged atomic.Uint64
	measures     measures
	started      int64 // ns, a reading of the clock
	room         room
	restless     restless
	sweeper      atomic.Pointer[actors.Ref] // nil until all listen
	errands      errands

	mu         sync.RWMutex
	identities map[persistence.OwnerID]*Identity
	creating   map[persistence.OwnerID]bool // and not among them yet, or just so
	creations  sync.WaitGroup               // of those
	closed     bool
	release    sync.Once // of the store and the keys
	released   error
}

// Open opens the store, takes up the identities it holds, publishes what was
// left in the outbox and reports what was left in the inbox.
func Open(ctx context.Context, options Options) (*Engine, error) {
	options = options.withDefaults()
	e, err := open(ctx, options)
	if err != nil && options.Carrier != nil {
		err = errors.Join(err, options.Carrier.Close())
	}
	return e, err
}

func open(ctx context.Context, options Options) (*Engine, error) {
	if (options.Transport == nil) == (options.Carrier == nil) || (options.Dir == "") == (options.Store == nil) {
		return nil, fmt.Errorf("%w: either a transport or a carrier, and either a directory or a store are needed", ErrOptions)
	}
	if options.Dir != "" && options.Unlock == nil {
		return nil, fmt.Errorf("%w: a directory needs the key to its store, Unlock", ErrOptions)
	}
	if options.Events && options.Handler != nil {
		return nil, fmt.Errorf("%w: events are for a handler or for loops, not for both", ErrOptions)
	}
	store, own, err := options.open(ctx)
	if err != nil {
		return nil, err
	}
	courier, err := options.courier(ctx, store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if courier != nil {
		options.Transport = courier
	}
	keys := keypool.New(options.Random)
	e := &Engine{
		courier:    courier,
		options:    options,
		keys:       keys,
		store:      store,
		disk:       own,
		system:     actors.NewSystem(actors.Options{Logger: options.Logger, SweepEvery: max(options.sweepEvery, 0), SpareTime: keys.MakeKey}),
		admission:  actors.NewAdmission[conversation](options.MaxInFlight, options.MaxInFlightPerContact),
		identities: make(map[persistence.OwnerID]*Identity),
		creating:   make(map[persistence.OwnerID]bool),
		started:    options.Now().UnixNano(),
		restless:   restless{in: max(1, int(options.IdleAfter/sweepEvery))},
	}
	e.room.init(options.MemoryBudget)
	e.takeEvents()
	e.committer = persistence.NewCommitter(store, persistence.CommitterOptions{Applied: e.applied()})
	err = e.measure()
	var replaced map[persistence.OwnerID]bool
	if err == nil {
		replaced, err = e.replaceInstallations(ctx)
	}
	if err == nil {
		err = e.takeUp(ctx, replaced)
	}
	if err != nil {
		_ = e.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return e, nil
}

// takeEvents settles who takes the events.
func (e *Engine) takeEvents() {
	switch handler := e.options.Handler; {
	case e.options.Events:
		e.offers = newOffers()
		e.handler = e.offers.handle
	case handler != nil:
		e.handler = func(event Event) bool {
			handler(event)
			return true
		}
	}
}

// NewIdentity describes an identity to create.
type NewIdentity struct {
	// Key is the private identity key, 32 bytes.
	Key []byte `json:"-"`
	// Phrase is a BIP-39 phrase from which the key is derived as Status does for
	// its chat key (EIP-1581). Without key and phrase a new key is made.
	Phrase string `json:"-"`
	// InstallationID names this installation among those of the identity; ""
	// makes a new random one. Never use one again whose state is lost.
	InstallationID string
	// Name is what the user calls the identity on this host, or "": at most
	// MaxName bytes. Nobody else gets to know it.
	Name string
}

// Format implements fmt.Formatter without key and phrase.
func (n NewIdentity) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "new identity, installation %q", n.InstallationID)
}

// CreateIdentity hosts a new installation of an identity. Its first signed
// prekey is durable when it returns. After an error nothing is kept of it; if the store
// has failed as well, the next Open shows whether it is there. Close waits for it.
func (e *Engine) CreateIdentity(ctx context.Context, n NewIdentity) (*Identity, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := checkName(n.Name); err != nil {
		return nil, err
	}
	key, err := n.key(e.options.Random)
	if err != nil {
		return nil, err
	}
	id, err := n.installationID(e.options.Random)
	if err != nil {
		return nil, err
	}
	i := new(Identity)
	i.init(e, &key, id)
	i.name = n.Name
	i.checked = true
	over, err := e.begin(i)
	if err != nil {
		return nil, err
	}
	defer over()
	if err := i.create(ctx); err != nil {
		return nil, err
	}
	return i, nil
}

func (e *Engine) add(i *Identity) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.identities[i.owner] = i
	return nil
}

func (e *Engine) remove(i *Identity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.identities, i.owner)
}

// Identities are all hosted identities, in no order.
func (e *Engine) Identities() []*Identity {
	e.mu.RLock()
	defer e.mu.RUnlock()
	all := make([]*Identity, 0, len(e.identities))
	for _, i := range e.identities {
		all = append(all, i)
	}
	return all
}

// Identity gives a hosted installation.
func (e *Engine) Identity(key PublicKey, installation string) (*Identity, bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	i, ok := e.identities[persistence.NewOwnerID(key[:], installation)]
	return i, ok
}

// Counts are what an engine has done since it was opened.
type Counts struct {
	Sent            uint64 // messages made durable for sending
	Copies          uint64 // messages made durable for our own other installations
	Received        uint64 // messages decrypted and durable, one for each installation here
	Refused         uint64 // received messages that changed nothing
	Unsent          uint64 // messages dropped that no network has taken, see Unsent
	Advertised      uint64 // times our bundle was sent back to who has written what we could not read
	SessionsStarted uint64 // ratchet sessions made, by either side
	RatchetSteps    uint64 // halves of DH ratchet steps
	Acknowledged    uint64 // messages taken out of the inbox, durably
	Batches         uint64 // written to the store, each with one sync
	Commits         uint64 // in these batches
	Records         uint64 // in these batches
	Awake           uint64 // identities that are in memory now; all others sleep
	Wakes           uint64 // how often one came into memory
	Sleeps          uint64 // how often one left it because nobody used it or for want of room
}

// Counts gives what the engine has done so far.
func (e *Engine) Counts() Counts {
	batches := e.committer.Counts()
	residents := e.system.Residents()
	return Counts{
		Sent:            e.counters.Sent.Load(),
		Copies:          e.counters.Copies.Load(),
		Received:        e.counters.Received.Load(),
		Refused:         e.counters.Refused.Load(),
		Unsent:          e.counters.Unsent.Load(),
		Advertised:      e.counters.Advertised.Load(),
		SessionsStarted: e.counters.SessionsStarted.Load(),
		RatchetSteps:    e.counters.RatchetSteps.Load(),
		Acknowledged:    e.acknowledged.Load(),
		Batches:         batches.Batches,
		Commits:         batches.Commits,
		Records:         batches.Records,
		Awake:           uint64(residents.Awake), //nolint:gosec // a count
		Wakes:           residents.Wakes,
		Sleeps:          residents.Sleeps,
	}
}

// Close takes no more messages, lets those under way finish, and closes the
// store. What is in outbox and inbox waits for the next Open. If ctx ends first
// its error is returned, and Close can be called again to go on waiting; until
// it returns nil the store stays open. It must not be called by the handler,
// which it waits for; the loops of Events it ends.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	identities := make([]*Identity, 0, len(e.identities))
	for _, i := range e.identities {
		identities = append(identities, i)
	}
	e.mu.Unlock()
	if e.offers != nil {
		e.offers.close()
	}
	e.keys.Close() // what is still under way draws its own
	e.errands.close()
	for _, i := range identities {
		i.unsubscribe()
	}
	if err := e.system.Shutdown(ctx); err != nil {
		return err // actors are still at work with keys and store
	}
	if err := lookedUp(ctx, identities); err != nil {
		return err
	}
	if err := await(ctx, e.creations.Wait); err != nil {
		return err
	}
	if err := e.committer.Close(ctx); err != nil {
		return err
	}
	e.release.Do(func() {
		unmeasured := e.measures.close()
		for _, i := range identities {
			i.left()
		}
		if e.courier != nil {
			e.released = e.courier.Close()
		}
		e.wipe(identities)
		e.released = errors.Join(e.released, e.store.Close(), unmeasured)
	})
	return e.released
}

// lookedUp waits for the look-ups that are still under way.
func lookedUp(ctx context.Context, identities []*Identity) error {
	return await(ctx, func() {
		for _, i := range identities {
			i.lookUps.Wait()
		}
	})
}

// await calls what waits, and gives up when ctx ends.
func await(ctx context.Context, wait func()) error {
	done := make(chan struct{})
	go func() {
		wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// accepting tells with ErrClosed that nothing new is taken any more: what is
// told to an actor that is stopping would start it again.
func (e *Engine) accepting() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return ErrClosed
	}
	return nil
}

func (e *Engine) wipe(identities []*Identity) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range identities {
		i.key.Wipe()
	}
}

// scalar gives a copy of an identity's private key, which the caller clears.
func (e *Engine) scalar(i *Identity) ([]byte, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return nil, ErrClosed
	}
	if i.deleted.Load() {
		return nil, ErrDeleted
	}
	return bytes.Clone(i.key.Scalar()), nil
}

// Format implements fmt.Formatter: an engine is at work while it is printed.
func (e *Engine) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "engine of %d identities", len(e.Identities()))
}
