package metrics

// kind is what a number means.
type kind int

const (
	counter kind = iota // only counts up
	gauge               // goes up and down
)

// observation is an instrument that is read when somebody asks, out of a reading R.
type observation[R any] struct {
	name  string
	kind  kind
	unit  string
	label string // "" without
	help  string
	read  func(*R) []Labelled // one without a value if there is no label; none: not known here
}

// The names of labels.
const (
	labelActor     = "actor"
	labelCause     = "cause"
	labelDirection = "direction"
	labelLimit     = "limit"
	labelOutcome   = "outcome"
	labelStage     = "stage"
)

var observations = []observation[Reading]{
	{"rookery.messages.sent", counter, "{message}", "", "Messages made durable for sending.", total(func(r *Reading) uint64 { return r.Sent })},
	{"rookery.messages.copies", counter, "{message}", "", "Messages made durable for our own other installations.", total(func(r *Reading) uint64 { return r.Copies })},
	{"rookery.messages.received", counter, "{message}", "", "Messages decrypted and durable, one for each installation here.", total(func(r *Reading) uint64 { return r.Received })},
	{"rookery.messages.acknowledged", counter, "{message}", "", "Messages taken out of the inbox, durably.", total(func(r *Reading) uint64 { return r.Acknowledged })},
	{"rookery.messages.unsent", counter, "{message}", "", "Messages given up that no network has taken.", total(func(r *Reading) uint64 { return r.Unsent })},
	{"rookery.messages.refused", counter, "{message}", labelCause, "Received messages that changed nothing.", func(r *Reading) []Labelled { return r.Refused }},
	{"rookery.sends.refused", counter, "{message}", labelCause, "Messages that were not sent, their sender was told why.", func(r *Reading) []Labelled { return r.SendsRefused }},
	{"rookery.overloads", counter, "{message}", labelLimit, "Messages refused in either direction because a bound was reached.", func(r *Reading) []Labelled { return r.Overloads }},
	{"rookery.messages.in_flight", gauge, "{message}", "", "Messages under way in both directions.", level(func(r *Reading) int64 { return r.InFlight })},
	{"rookery.events.waiting", gauge, "{event}", "", "Events that wait for the handler.", level(func(r *Reading) int64 { return r.Unhandled })},
	{"rookery.publications.taken", counter, "{publication}", "", "Messages and copies that the transport has taken.", total(func(r *Reading) uint64 { return r.Taken })},
	{"rookery.publications.refused", counter, "{publication}", "", "Attempts to publish one that the transport has refused.", total(func(r *Reading) uint64 { return r.NotTaken })},

	{"rookery.sessions.started", counter, "{session}", "", "Ratchet sessions made, by either side.", total(func(r *Reading) uint64 { return r.SessionsStarted })},
	{"rookery.ratchet.steps", counter, "{step}", "", "Halves of DH ratchet steps.", total(func(r *Reading) uint64 { return r.RatchetSteps })},

	{"rookery.identities", gauge, "{identity}", "", "Identities hosted, one for each installation here.", level(func(r *Reading) int64 { return r.Identities })},
	{"rookery.identities.awake", gauge, "{identity}", "", "Identities in memory; all others sleep.", level(func(r *Reading) int64 { return r.Awake })},
	{"rookery.memory.budget", gauge, "By", "", "Memory that those who are awake may take at the moment.", level(func(r *Reading) int64 { return r.MemoryBudget })},
	{"rookery.identities.wakes", counter, "{wake}", "", "Times that an identity came into memory.", total(func(r *Reading) uint64 { return r.Wakes })},
	{"rookery.identities.sleeps", counter, "{sleep}", "", "Times that one left it, idle or for want of room.", total(func(r *Reading) uint64 { return r.Sleeps })},
	{"rookery.actors", gauge, "{actor}", labelActor, "Actors in memory.", func(r *Reading) []Labelled { return r.Actors }},
	{"rookery.actors.quarantined", counter, "{message}", "", "Messages on which an actor panicked.", total(func(r *Reading) uint64 { return r.Quarantined })},
	{"rookery.actors.undelivered", counter, "{message}", "", "Messages between actors that were refused since their actor had stopped or a buffer was full.", total(func(r *Reading) uint64 { return r.Undelivered })},

	{"rookery.store.batches", counter, "{batch}", "", "Batches written to the store, each with one sync.", total(func(r *Reading) uint64 { return r.Batches })},
	{"rookery.store.commits", counter, "{commit}", "", "Commits in these batches.", total(func(r *Reading) uint64 { return r.Commits })},
	{"rookery.store.records", counter, "{record}", "", "Records in these batches.", total(func(r *Reading) uint64 { return r.Records })},
	{"rookery.store.batches.refused", counter, "{batch}", "", "Batches that the store has not taken.", total(func(r *Reading) uint64 { return r.BatchesRefused })},
	{"rookery.store.queued", gauge, "{record}", "", "Records that wait for the store or are being synced.", level(func(r *Reading) int64 { return r.Queued })},
	{"rookery.store.disk", gauge, "By", "", "Files of the store's records on the disk.", ofSizes(func(s *SizeReading) uint64 { return s.Files })},
	{"rookery.store.log", gauge, "By", "", "Write-ahead log among these.", ofSizes(func(s *SizeReading) uint64 { return s.Log })},
	{"rookery.store.epochs", gauge, "{epoch}", "", "Key epochs that open something on the disk.", ofStore(func(s *StoreReading) int64 { return s.Epochs })},
	{"rookery.store.epoch.age", gauge, "s", "", "Time since the oldest of them began.", ofStore(func(s *StoreReading) int64 { return s.OldestEpoch })},
	{"rookery.store.rolled_back", gauge, "", "", "1 while the store has gone back and not made its new start.", ofStore(func(s *StoreReading) int64 { return bit(s.RolledBack) })},
	{"rookery.store.unsettled", gauge, "", "", "1 while the rollback guard's anchor may lag behind the records, after a write that failed.", ofStore(func(s *StoreReading) int64 { return bit(s.Unsettled) })},

	{"rookery.network.ready", gauge, "", "", "1 while the network takes messages and delivers them.", ofNetwork(func(n *NetworkReading) int64 { return bit(n.Ready) })},
	{"rookery.network.peers", gauge, "{peer}", "", "Peers of the network that it is connected to.", ofNetwork(func(n *NetworkReading) int64 { return n.Peers })},
	{"rookery.network.fetching", gauge, "{topic}", "", "Topics of which history is still to be fetched.", ofNetwork(func(n *NetworkReading) int64 { return n.Fetching })},
	{"rookery.network.envelopes", counter, "{envelope}", labelOutcome, "Envelopes that came from the network, by what became of them.", func(r *Reading) []Labelled {
		if r.Network == nil {
			return nil
		}
		return r.Network.Envelopes
	}},
}

func level(read func(*Reading) int64) func(*Reading) []Labelled {
	return func(r *Reading) []Labelled { return []Labelled{{N: read(r)}} }
}

func total(read func(*Reading) uint64) func(*Reading) []Labelled {
	return level(func(r *Reading) int64 { return signed(read(r)) })
}

func ofStore(read func(*StoreReading) int64) func(*Reading) []Labelled {
	return func(r *Reading) []Labelled {
		if r.Store == nil {
			return nil
		}
		return []Labelled{{N: read(r.Store)}}
	}
}

func ofSizes(read func(*SizeReading) uint64) func(*Reading) []Labelled {
	return func(r *Reading) []Labelled {
		if r.Sizes == nil {
			return nil
		}
		return []Labelled{{N: signed(read(r.Sizes))}}
	}
}

func ofNetwork(read func(*NetworkReading) int64) func(*Reading) []Labelled {
	return func(r *Reading) []Labelled {
		if r.Network == nil {
			return nil
		}
		return []Labelled{{N: read(r.Network)}}
	}
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// signed is a number as OpenTelemetry has it; what an engine counts stays below
// 2^63.
func signed(n uint64) int64 { return int64(n) } //nolint:gosec // see above
