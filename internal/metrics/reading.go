package metrics

// Reading is the state of an engine at the moment that somebody asks for it. What
// is called "so far" counts up from the start of the engine.
type Reading struct {
	Sent, Copies, Received, Acknowledged, Unsent uint64 // messages so far
	Refused                                      []Labelled
	SendsRefused                                 []Labelled
	Overloads                                    []Labelled
	Taken, NotTaken                              uint64 // publications so far
	InFlight, Unhandled                          int64  // messages at present

	SessionsStarted, RatchetSteps uint64 // so far

	Identities, Awake        int64  // hosted, and of them in memory, at present
	MemoryBudget             int64  // bytes that those may take
	Wakes, Sleeps            uint64 // of identities, so far
	Actors                   []Labelled
	Quarantined, Undelivered uint64 // messages so far

	Batches, Commits, Records, BatchesRefused uint64 // so far
	Queued                                    int64  // records at present

	Store   *StoreReading   // nil: a store of which no more is known
	Sizes   *SizeReading    // nil: not known now
	Network *NetworkReading // nil: a transport that tells nothing
}

// StoreReading is what a sealed store on disk tells beside that.
type StoreReading struct {
	Epochs      int64 // keys that open something on disk
	OldestEpoch int64 // seconds since it began
	RolledBack  bool  // it has gone back, and the new start is not made yet
	Unsettled   bool  // the anchor lags behind the records: a write has failed
}

// SizeReading is what a store takes on its disk, in bytes.
type SizeReading struct {
	Files, Log uint64
}

// NetworkReading is what a network tells.
type NetworkReading struct {
	Ready     bool
	Peers     int64
	Fetching  int64      // topics of which history is still to be read
	Envelopes []Labelled // that came, so far, by what became of them
}

// Labelled is a number under one value of its instrument's label.
type Labelled struct {
	Value string
	N     int64
}
