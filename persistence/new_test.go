package persistence_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/rookery-im/rookery/persistence"
)

func fresh(part, value string) persistence.Record {
	record := put(part, value)
	record.New = true
	return record
}

// TestRecordThatEndsWithinItsBatchIsNotWritten: what a batch holds of a record
// depends on how it came and on what the store may have of it.
func TestRecordThatEndsWithinItsBatchIsNotWritten(t *testing.T) {
	for _, test := range []struct {
		name    string
		commits [][]persistence.Record
		want    string
	}{
		{"new and ended", [][]persistence.Record{{fresh("a", "1"), put("b", "1")}, {del("a")}}, "[session/b=1]"},
		{"ended in the same commit", [][]persistence.Record{{fresh("a", "1"), del("a"), put("b", "1")}}, "[session/b=1]"},
		{"new, changed and ended", [][]persistence.Record{{fresh("a", "1"), put("b", "1")}, {put("a", "2")}, {del("a")}}, "[session/b=1]"},
		{"new, ended, new and ended", [][]persistence.Record{{fresh("a", "1")}, {del("a")}, {fresh("a", "2")}, {del("a")}}, "[]"},
		{"new, ended and new", [][]persistence.Record{{fresh("a", "1")}, {del("a")}, {fresh("a", "2")}}, "[session/a=2]"},
		{"new and changed", [][]persistence.Record{{fresh("a", "1")}, {put("a", "2")}}, "[session/a=2]"},
		{"the store may have it", [][]persistence.Record{{put("a", "1")}, {del("a")}}, "[-session/a]"},
		{"ended, new and ended", [][]persistence.Record{{del("a")}, {fresh("a", "1")}, {del("a")}}, "[-session/a]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPipe(t, persistence.CommitterOptions{})
			release := p.hold()
			stream := p.committer.NewStream(persistence.Fence{})
			for i, records := range test.commits {
				p.commit(stream, fmt.Sprint(i), records...)
			}
			release()
			p.expect(result{"held", nil})
			for i := range test.commits {
				p.expect(result{fmt.Sprint(i), nil})
			}
			batches := p.store.Batches()
			if len(batches) != 2 {
				t.Fatalf("%d batches, want the held one and one more", len(batches))
			}
			got := []string{}
			for _, record := range batches[1].Records {
				if record.Delete {
					got = append(got, "-"+record.Name.String())
				} else {
					got = append(got, fmt.Sprintf("%s=%s", record.Name, record.Value))
				}
			}
			if fmt.Sprint(got) != test.want {
				t.Fatalf("the batch holds %v, want %s", got, test.want)
			}
		})
	}
}

// TestRecordThatIsBeingSyncedIsEndedOnDisk: its end comes in a later batch.
func TestRecordThatIsBeingSyncedIsEndedOnDisk(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	stream := p.committer.NewStream(persistence.Fence{})
	entered, release := p.store.Hold()
	defer release()
	p.commit(stream, "put", fresh("a", "1"))
	<-entered
	p.commit(stream, "del", del("a"))
	p.lacks(session("a"))
	release()
	p.expect(result{"put", nil}, result{"del", nil})
	p.lacks(session("a"))
	if got := len(p.store.Batches()); got != 2 {
		t.Fatalf("%d batches, want 2", got)
	}
}

// TestFenceCountsForRecordsThatEnded is T15 where nothing is left to write: an
// owner that was taken over is told so all the same.
func TestFenceCountsForRecordsThatEnded(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	owner := persistence.NewOwnerID([]byte("alice"), "1")
	for range 2 {
		if _, err := p.store.Own(t.Context(), owner); err != nil {
			t.Fatal(err)
		}
	}
	p.commit(p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: 1}), "old", fresh("a", "1"), del("a"))
	p.commit(p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: 2}), "new", fresh("b", "1"), del("b"))
	p.expect(result{"old", persistence.ErrFenced}, result{"new", nil})
}

// TestEndOfALostRecordStillReachesTheDisk: the promise of a commit that failed
// does not count for those that are applied without it.
func TestEndOfALostRecordStillReachesTheDisk(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	owner := persistence.NewOwnerID([]byte("alice"), "1")
	if _, err := p.store.Own(t.Context(), owner); err != nil {
		t.Fatal(err)
	}
	release := p.hold()
	p.commit(p.committer.NewStream(persistence.Fence{Owner: owner}), "fenced", fresh("a", "1"))
	p.commit(p.committer.NewStream(persistence.Fence{Owner: owner, Epoch: 1}), "rest", del("a"))
	release()
	p.expect(result{"held", nil}, result{"fenced", persistence.ErrFenced}, result{"rest", nil})
	batches := p.store.Batches()
	last := batches[len(batches)-1]
	if len(last.Records) != 1 || !last.Records[0].Delete {
		t.Fatalf("the last batch holds %v, want the end of the record", last.Records)
	}
}

// TestEndedRecordsOfAFailedBatchAreToldSo: nothing of them was to be written,
// but what went with them was lost.
func TestEndedRecordsOfAFailedBatchAreToldSo(t *testing.T) {
	p := newPipe(t, persistence.CommitterOptions{})
	disk := errors.New("disk")
	p.store.FailApply(2, disk)
	release := p.hold()
	stream := p.committer.NewStream(persistence.Fence{})
	p.commit(stream, "put", fresh("a", "1"), put("b", "1"))
	p.commit(stream, "del", del("a"))
	release()
	p.expect(result{"held", nil}, result{"put", disk}, result{"del", disk})
	p.lacks(session("a"))
	p.lacks(session("b"))
}
