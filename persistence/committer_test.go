package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/storetest"
)

// TestMain checks that a closed committer leaves no goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDisk = errors.New("disk on fire")

// pipe is a committer on a store that fails on demand.
type pipe struct {
	*testing.T
	store     *storetest.Faulty
	committer *persistence.Committer
	results   chan result
}

// result is what one continuation was told.
type result struct {
	label string
	err   error
}

func newPipe(t *testing.T, opts persistence.CommitterOptions) *pipe {
	p := &pipe{T: t, store: storetest.NewFaulty(memory.New()), results: make(chan result, 10_000)}
	p.committer = persistence.NewCommitter(p.store, opts)
	t.Cleanup(func() {
		if err := p.committer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *pipe) commit(stream *persistence.Stream, label string, records ...persistence.Record) {
	stream.Commit(records, func(err error) { p.results <- result{label, err} })
}

// expect waits for the next continuations, in this order, and for their errors
// (nil where none is given).
func (p *pipe) expect(want ...result) {
	p.Helper()
	for _, next := range want {
		select {
		case got := <-p.results:
			if got.label != next.label || !errors.Is(got.err, next.err) || (next.err == nil) != (got.err == nil) {
				p.Fatalf("continuation %s with error %v, want %s with %v", got.label, got.err, next.label, next.err)
			}
		case <-time.After(time.Minute):
			p.Fatalf("continuation %s never ran", next.label)
		}
	}
}

// hold lets a first commit reach the store and stay there, so that whatever is
// committed until release waits in the queue.
func (p *pipe) hold() (release func()) {
	p.Helper()
	entered, release := p.store.Hold()
	p.Cleanup(release)
	p.commit(p.committer.NewStream(persistence.Fence{}), "held", put("held", ""))
	<-entered
	return release
}

func (p *pipe) reads(name persistence.Name, want string) {
	p.Helper()
	got, err := p.committer.Get(p.Context(), name)
	if err != nil || string(got) != want {
		p.Fatalf("%s reads %q, %v, want %q", name, got, err, want)
	}
}

func (p *pipe) lacks(name persistence.Name) {
	p.Helper()
	if got, err := p.committer.Get(p.Context(), name); !errors.Is(err, persistence.ErrNotFound) {
		p.Fatalf("%s reads %q, %v, want ErrNotFound", name, got, err)
	}
}

func (p *pipe) scans(prefix persistence.Name, want ...string) {
	p.Helper()
	var seen []string
	err := p.committer.Scan(p.Context(), prefix, func(name persistence.Name, value []byte) error {
		seen = append(seen, fmt.Sprintf("%s=%s", name, value))
		return nil
	})
	if err != nil || !slices.Equal(seen, want) {
		p.Fatalf("scan shows %q, %v, want %q", seen, err, want)
	}
}

func session(part string) persistence.Name {
	return persistence.NewName(persistence.KindSession, []byte(part))
}

func put(part, value string) persistence.Record {
	return persistence.Record{Name: session(part), Value: []byte(value)}
}

func del(part string) persistence.Record {
	return persistence.Record{Name: session(part), Delete: true}
}

func TestContinuationsRunInOrderAfterTheRecordsAreDurable(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{MaxBatch: 7})
	a, b := p.committer.NewStream(persistence.Fence{}), p.committer.NewStream(persistence.Fence{})
	const commits = 300
	order := make(chan int, commits)
	for i := range commits {
		stream := a
		if i%3 == 0 {
			stream = b
		}
		record := put(fmt.Sprint(i), "v")
		stream.Commit([]persistence.Record{record}, func(err error) {
			if err != nil {
				t.Errorf("commit %d: %v", i, err)
			}
			if _, err := p.store.Store.Get(context.Background(), record.Name); err != nil {
				t.Errorf("commit %d continued before its record was in the store: %v", i, err)
			}
			order <- i
		})
	}
	for want := range commits {
		if got := <-order; got != want {
			t.Fatalf("continuation %d ran in place of %d", got, want)
		}
	}
}

func TestCommitsThatWaitShareOneBatch(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	const messages = 1000
	for i := range messages {
		p.commit(stream, fmt.Sprint(i), put("state", fmt.Sprint(i)), put("message", fmt.Sprint(i)))
	}
	if got, want := p.committer.Queued(), 2*messages+1; got != want {
		t.Errorf("%d records queued, want %d", got, want)
	}
	release()
	p.expect(result{"held", nil})
	for i := range messages {
		p.expect(result{fmt.Sprint(i), nil})
	}
	batches := p.store.Batches()
	if len(batches) != 2 || len(batches[1].Records) != 2 {
		t.Fatalf("%d batches, the last of %d records; want 2 and 2", len(batches), len(batches[len(batches)-1].Records))
	}
	p.reads(session("state"), "999")
	if got := p.committer.Queued(); got != 0 {
		t.Errorf("%d records queued at rest", got)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{MaxBatch: 10})
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	var want []result
	for i := range 25 {
		p.commit(stream, fmt.Sprint(i), put(fmt.Sprint(i), ""))
		want = append(want, result{fmt.Sprint(i), nil})
	}
	var large []persistence.Record
	for i := range 30 {
		large = append(large, put(fmt.Sprint(i), "large"))
	}
	p.commit(stream, "large", large...)
	release()
	p.expect(result{"held", nil})
	p.expect(append(want, result{"large", nil})...)
	var sizes []int
	for _, batch := range p.store.Batches() {
		sizes = append(sizes, len(batch.Records))
	}
	if fmt.Sprint(sizes) != "[1 10 10 5 30]" {
		t.Fatalf("batches of %v records, want [1 10 10 5 30]", sizes)
	}
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	for i := range 3 {
		stream.Commit([]persistence.Record{{Name: session(fmt.Sprint(i)), Value: make([]byte, 10<<20)}}, func(err error) {
			p.results <- result{fmt.Sprint(i), err}
		})
	}
	release()
	p.expect(result{"held", nil}, result{"0", nil}, result{"1", nil}, result{"2", nil})
	if got := len(p.store.Batches()); got != 4 {
		t.Fatalf("%d batches, want 4", got)
	}
}

func TestReadsShowTheNewestCommit(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	p.commit(stream, "0", put("a", "0"), put("b", "0"), put("z", "0"))
	p.expect(result{"0", nil})

	entered, release := p.store.Hold()
	defer release()
	p.commit(stream, "1", put("a", "1"), put("m", "1"))
	<-entered // 1 is being synced, 2 waits behind it
	p.commit(stream, "2", put("a", "2"), del("b"), put("zz", "2"))
	p.reads(session("a"), "2")
	p.reads(session("m"), "1")
	p.lacks(session("b"))
	p.reads(session("z"), "0")
	whole := []string{"session/a=2", "session/m=1", "session/z=0", "session/zz=2"}
	p.scans("", whole...)
	p.scans(session("a"), "session/a=2")

	// Landing the older write must not uncover it, nor hide the newer one.
	second, release2 := p.store.Hold()
	defer release2()
	release()
	p.expect(result{"1", nil})
	<-second
	p.reads(session("a"), "2")
	p.lacks(session("b"))
	p.scans("", whole...)
	release2()
	p.expect(result{"2", nil})
	p.reads(session("a"), "2")
	p.lacks(session("b"))
	p.scans("", whole...)
}

func TestReadValuesAreTheCallers(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	release := p.hold()
	p.commit(p.committer.NewStream(persistence.Fence{}), "1", put("a", "keep"))
	value, err := p.committer.Get(t.Context(), session("a"))
	if err != nil {
		t.Fatal(err)
	}
	clear(value)
	if err := p.committer.Scan(t.Context(), session("a"), func(_ persistence.Name, value []byte) error {
		clear(value)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p.reads(session("a"), "keep")
	release()
	p.expect(result{"held", nil}, result{"1", nil})
	p.reads(session("a"), "keep")
}

func TestReadErrorsOfTheStoreComeThrough(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	p.store.FailGet(1, errDisk)
	if _, err := p.committer.Get(t.Context(), session("a")); !errors.Is(err, errDisk) {
		t.Errorf("got %v, want the store's error", err)
	}
	p.lacks(session("a"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release := p.hold()
	if _, err := p.committer.Get(ctx, session("held")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	release()
	p.expect(result{"held", nil})
}

func TestScanStopsAtTheCallersError(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	p.commit(stream, "1", put("m", "stored"))
	p.expect(result{"1", nil})
	release := p.hold()
	p.commit(stream, "2", put("a", "before"), put("z", "behind"))
	for stop := 1; stop <= 3; stop++ {
		enough, calls := errors.New("enough"), 0
		err := p.committer.Scan(t.Context(), "", func(persistence.Name, []byte) error {
			if calls++; calls == stop {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || calls != stop {
			t.Errorf("stopping at %d: error %v after %d calls", stop, err, calls)
		}
	}
	release()
	p.expect(result{"held", nil}, result{"2", nil})
}

func TestCloseMakesAllDurableAndRefusesMore(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{MaxBatch: 3})
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	var want []result
	for i := range 10 {
		p.commit(stream, fmt.Sprint(i), put(fmt.Sprint(i), "v"))
		want = append(want, result{fmt.Sprint(i), nil})
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.committer.Close(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("close under a held store: %v, want the context's error", err)
	}
	// The goroutine still drains: a refusal keeps its place in the order.
	p.commit(stream, "draining", put("late", "v"))
	p.lacks(session("late"))
	release()
	if err := p.committer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.commit(stream, "ended", put("late", "v"))
	p.expect(result{"held", nil})
	p.expect(append(want, result{"draining", persistence.ErrClosed}, result{"ended", persistence.ErrClosed})...)
	for i := range 10 {
		p.reads(session(fmt.Sprint(i)), "v")
	}
	p.lacks(session("late"))
}

func TestCommitWithoutRecordsIsABarrier(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	p.commit(stream, "barrier")
	select {
	case got := <-p.results:
		t.Fatalf("continuation %s ran while the commit before it was being synced", got.label)
	case <-time.After(10 * time.Millisecond):
	}
	release()
	p.expect(result{"held", nil}, result{"barrier", nil})
	if got := len(p.store.Batches()); got != 1 {
		t.Errorf("%d batches, want 1", got)
	}
}

func TestContinuationMayCommit(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	stream.Commit([]persistence.Record{put("a", "1")}, func(error) {
		p.commit(stream, "inner", put("a", "2"))
	})
	p.expect(result{"inner", nil})
	p.reads(session("a"), "2")
}
