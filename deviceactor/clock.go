package deviceactor

// The clock of a host may be wrong and be set right again. What was noted at a
// time that is still to come has not happened, and counts for nothing.

// passed tells whether a span (ns) has gone by since a time that was noted.
func passed(since, now, span int64) bool {
	gone := now - since
	return now > since && (gone < 0 || gone >= span) // below 0: further apart than an int64 can say
}

// within tells whether a time that was noted is less than a span (ns) ago.
func within(since, now, span int64) bool { return since <= now && !passed(since, now, span) }
