package sealing

// Why a store is taken for one that has gone back, for the log.
const (
	reasonNoAnchor      = "the anchor is missing"
	reasonBadAnchor     = "the anchor is damaged"
	reasonForeignAnchor = "the anchor is of another store"
	reasonNoHead        = "the records have no head"
	reasonOlder         = "the records are older than the anchor"
	reasonNewer         = "the records are newer than the anchor: it was put back"
	reasonOtherRun      = "the records are of a run that the anchor does not know"
	reasonRestored      = "the store was restored from a backup"
)

// judge says why the records do not follow from the anchor, or nothing when they
// do: they are at its point, or one batch further, as a crash between the two
// leaves it. missing is why the anchor has no point.
func judge(h head, at point, missing string) string {
	switch {
	case h.restored:
		return reasonRestored
	case missing == reasonNoAnchor && h.counter == 1:
		// The first head, written before there is an anchor and before there is
		// anything to lose.
		return ""
	case missing != "":
		return missing
	case h.run == at.run && h.counter < at.counter:
		return reasonOlder
	case h.run == at.run && h.counter > at.counter+1:
		return reasonNewer
	case h.run == at.run:
		return ""
	case h.previous == at.run && h.counter == at.counter+1:
		return "" // the first batch of a run
	}
	return reasonOtherRun
}
