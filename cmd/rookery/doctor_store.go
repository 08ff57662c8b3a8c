package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/persistence/sealing"
)

// forgotten is how long after their use keys may be recovered from the disk, if the
// store is open or was closed in order.
const forgotten = time.Hour

// examineStore looks at the records, as store check and store stats do.
func (r *doctorResult) examineStore(ctx context.Context, store *sealing.Store, dir string, now time.Time) error {
	check := checkResult{Directory: dir, RolledBack: store.RolledBack()}
	if err := check.walk(ctx, store); err != nil {
		return err
	}
	orphans := check.orphans()
	switch damaged := check.Wrong - orphans; {
	case damaged > 0:
		r.add(diagnosis{
			Severity: failure, About: "store", What: fmt.Sprintf("%d of %d records cannot be read", damaged, check.Records),
			Next: "who they belong to does not work; everybody else does",
			Do:   "rookery store check names them; look at the disk, and restore a backup",
		})
	case orphans > 0:
		r.add(diagnosis{Severity: note, About: "store", What: fmt.Sprintf("%d records are in order, %d of them lead nowhere", check.Records, orphans)})
	default:
		r.add(diagnosis{Severity: fine, About: "store", What: fmt.Sprintf("%d records are in order", check.Records)})
	}
	if check.RolledBack {
		r.add(diagnosis{
			Severity: warning, About: "store", What: "it was restored, or has gone back to an older state",
			Next: "the next command that opens it gives each identity a new device, which contacts are told of; the old ones only read",
			Do:   "if nobody restored it, find out what put the directory back, and whether another process uses a copy of it",
		})
	}
	stats, err := store.Stats(ctx)
	if err != nil {
		return err
	}
	if len(stats.Epochs) > 1 {
		oldest := stats.Epochs[0].Created
		for _, e := range stats.Epochs {
			if e.Created.Before(oldest) {
				oldest = e.Created
			}
		}
		if age := now.Sub(oldest); age > 2*forgotten {
			r.add(diagnosis{
				Severity: warning, About: "store",
				What: fmt.Sprintf("%d epochs are kept, the oldest for %v: it was not closed in order, and keys that were used up since can be recovered by who has what opens it", len(stats.Epochs), age.Truncate(time.Minute)),
				Next: "the next open seals all anew and destroys the older keys", Do: "rookery store rekey, or start what uses the store",
			})
		}
	}
	size, err := diskSize(dir)
	if err == nil {
		r.add(diagnosis{Severity: fine, About: "store", What: fmt.Sprintf("%d KiB on disk, %d commits, %d epochs", size>>10, stats.Commits, len(stats.Epochs))})
	}
	return err
}

// orphans counts those among the findings, as far as they are listed.
func (r *checkResult) orphans() (n uint64) {
	for _, f := range r.Findings {
		if f.Orphan {
			n++
		}
	}
	return n
}
