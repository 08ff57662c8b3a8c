package consttime

import (
	"math"
	"slices"
)

// threshold is the |t| from which on two classes count as told apart.
const threshold = 4.5

// crops are the shares of the fastest samples that are tested, see the
// package's documentation.
var crops = [...]float64{1, 0.99, 0.95, 0.90, 0.75, 0.50}

// difference is what Welch's test says about the means of two classes.
type difference struct {
	mean  float64 // of the first class minus that of the second
	error float64 // standard error of mean
}

// t is Welch's statistic.
func (d difference) t() float64 {
	if d.mean == 0 {
		return 0
	}
	return d.mean / d.error // infinite if no sample varies
}

// seen tells whether the classes count as told apart.
func (d difference) seen() bool { return math.Abs(d.t()) >= threshold }

// welch compares the means of two classes of at least two samples each, whose
// variances need not be the same.
func welch(a, b []float64) difference {
	meanA, errorA := moments(a)
	meanB, errorB := moments(b)
	return difference{mean: meanA - meanB, error: math.Sqrt(errorA + errorB)}
}

// moments gives the mean and the square of its standard error.
func moments(samples []float64) (mean, squared float64) {
	n := float64(len(samples))
	for _, x := range samples {
		mean += x
	}
	mean /= n
	for _, x := range samples {
		squared += (x - mean) * (x - mean)
	}
	return mean, squared / (n - 1) / n
}

// sorted puts all times of both classes in order.
func sorted(classes [2][]float64) []float64 {
	together := slices.Concat(classes[0], classes[1])
	slices.Sort(together)
	return together
}

// cropped makes the test with that share of all samples that took least. It
// gives no difference if they are so far apart that only one class is left;
// wider crops see that.
func cropped(classes [2][]float64, together []float64, share float64) difference {
	limit := together[int(math.Ceil(share*float64(len(together))))-1]
	a, b := upTo(limit, classes[0]), upTo(limit, classes[1])
	if len(a) < 2 || len(b) < 2 {
		return difference{}
	}
	return welch(a, b)
}

func upTo(limit float64, samples []float64) []float64 {
	kept := make([]float64, 0, len(samples))
	for _, x := range samples {
		if x <= limit {
			kept = append(kept, x)
		}
	}
	return kept
}

// largest makes the test with every crop and gives the one with the largest
// |t|.
func largest(classes [2][]float64) difference {
	together := sorted(classes)
	var found difference
	for _, share := range crops {
		if d := cropped(classes, together, share); math.Abs(d.t()) > math.Abs(found.t()) {
			found = d
		}
	}
	return found
}

// visible is about how large a difference would have been seen where none was:
// one that is the threshold's number of standard errors in the crop that keeps
// 90 %. Crops that keep less have a smaller error but also cut off some of a
// difference, how much depends on its shape.
func visible(classes [2][]float64) float64 {
	// What a crop keeps may all lie between two ticks of the clock, and then
	// seems not to vary at all.
	const tick = 10 // ns
	rounding := tick * tick / 12.0 * (1/float64(len(classes[0])) + 1/float64(len(classes[1])))
	return threshold * math.Hypot(cropped(classes, sorted(classes), 0.90).error, math.Sqrt(rounding))
}
