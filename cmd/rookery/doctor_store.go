package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rookery-im/rookery/internal/footprint"
	"github.com/rookery-im/rookery/persistence/sealing"
)

// examineStore looks at the records, as store check and store stats do.
func (r *doctorResult) examineStore(ctx context.Context, store *sealing.Store, dir string, now time.Time) error {
	check := checkResult{Directory: dir, RolledBack: store.RolledBack()}
	if err := check.walk(ctx, store); err != nil {
		return err
	}
	switch {
	case check.Wrong > 0:
		r.add(diagnosis{
			Severity: failure, About: "store", What: fmt.Sprintf("%d of %d records cannot be read", check.Wrong, check.Records),
			Next: "who they belong to does not work; everybody else does",
			Do:   "rookery store check names them; look at the disk, and restore a backup",
		})
	case check.Orphans > 0:
		r.add(diagnosis{Severity: note, About: "store", What: fmt.Sprintf("%d records are in order; to %d of them nothing leads", check.Records, check.Orphans)})
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
	if !stats.Clean {
		since := now
		for _, e := range stats.Epochs {
			if e.Created.Before(since) {
				since = e.Created
			}
		}
		r.add(diagnosis{
			Severity: warning, About: "store",
			What: fmt.Sprintf("it was not closed in order: keys that were used up in the last %v can be recovered by who has what opens it", max(now.Sub(since).Truncate(time.Minute), time.Minute)),
			Next: "the next open seals all anew and destroys the older keys", Do: "rookery store rekey, or start what uses the store",
		})
	}
	r.add(diagnosis{Severity: fine, About: "store", What: fmt.Sprintf("%d KiB on disk, %d commits, %d epochs", footprint.Directory(dir)>>10, stats.Commits, len(stats.Epochs))})
	return nil
}
