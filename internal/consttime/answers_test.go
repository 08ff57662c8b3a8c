package consttime

import (
	"math"
	"math/rand/v2"
	"testing"
)

// The expected values are computed by hand from the formula of Welch.
func TestWelchGivesKnownAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		a, b []float64
		want float64
	}{
		// Means 2 and 5, variances 1 and 20/3: -3 / sqrt(1/3 + 20/3/4).
		"another number, another variance": {[]float64{1, 2, 3}, []float64{2, 4, 6, 8}, -3 / math.Sqrt2},
		"the other way round":              {[]float64{2, 4, 6, 8}, []float64{1, 2, 3}, 3 / math.Sqrt2},
		// Means 1 and 4, variances 2 and 0: -3 / sqrt(2/2 + 0).
		"one class never varies":     {[]float64{0, 2}, []float64{4, 4, 4}, -3},
		"equal means":                {[]float64{1, 5}, []float64{3, 3, 3}, 0},
		"nothing varies":             {[]float64{7, 7}, []float64{7, 7, 7}, 0},
		"nothing varies but the two": {[]float64{8, 8}, []float64{7, 7, 7}, math.Inf(1)},
	} {
		if got := welch(c.a, c.b).t(); got != c.want && !(math.Abs(got-c.want) < 1e-12) {
			t.Errorf("%s: t = %v, want %v", name, got, c.want)
		}
	}
}

// noise gives times as a busy machine does: a body, a long tail, and slow
// stretches that neighbours share.
type noise struct {
	random *rand.Rand
	slow   float64
}

func (n *noise) next() float64 {
	if n.random.Float64() < 0.001 {
		n.slow = 200 * n.random.Float64()
	}
	took := 1000 + n.slow + 30*math.Abs(n.random.NormFloat64())
	if n.random.Float64() < 0.01 {
		took += 1000 / (n.random.Float64() + 0.1)
	}
	return math.Round(took)
}

// sampled gives the times of two classes in random order; slower changes those
// of the first one.
func sampled(seed uint64, samples int, slower func(took, chance float64) float64) (times [2][]float64) {
	random := rand.New(rand.NewPCG(seed, 0))
	n := noise{random: random}
	for range samples {
		took, chance, class := n.next(), random.Float64(), random.IntN(2)
		if class == 0 {
			took = slower(took, chance)
		}
		times[class] = append(times[class], took)
	}
	return times
}

func unchanged(took, _ float64) float64 { return took }

func TestNoiseAloneIsNotSeen(t *testing.T) {
	beyond := 0
	const trials = 400
	for seed := range uint64(trials) {
		times := sampled(seed, 2000, unchanged)
		if d := largest(times); d.seen() {
			t.Errorf("seed %d: |t| = %.1f between equal classes", seed, math.Abs(d.t()))
		}
		if math.Abs(welch(times[0], times[1]).t()) > 1.96 {
			beyond++
		}
	}
	// 5 % of a normal distribution lie beyond 1.96.
	if beyond < trials/40 || beyond > trials/10 {
		t.Errorf("%d of %d uncropped values of |t| are over 1.96, expected about %d", beyond, trials, trials/20)
	}
}

func TestDifferencesAreSeenWhereTheyAre(t *testing.T) {
	for name, c := range map[string]struct {
		slower func(took, chance float64) float64
		// uncropped tells whether the test over all samples sees it.
		uncropped bool
	}{
		"three nanoseconds in every call, under the noise": {func(took, _ float64) float64 { return took + 3 }, false},
		"a long detour in one call of fifty": {func(took, chance float64) float64 {
			if chance < 0.02 {
				return took + 50_000
			}
			return took
		}, true},
		"everything much slower": {func(took, _ float64) float64 { return took + 1e6 }, true},
	} {
		times := sampled(1, 50_000, c.slower)
		if d := largest(times); !d.seen() {
			t.Errorf("%s: not seen, |t| = %.1f", name, math.Abs(d.t()))
		}
		if d := welch(times[0], times[1]); d.seen() != c.uncropped {
			t.Errorf("%s: without a crop |t| = %.1f", name, math.Abs(d.t()))
		}
	}
}

// Between half and twice of what is said to be visible lies the edge of what
// the test does see, in either direction.
func TestVisibleIsAboutTheEdge(t *testing.T) {
	seen := func(by float64) bool {
		return largest(sampled(1, 20_000, func(took, _ float64) float64 { return took + by })).seen()
	}
	edge := visible(sampled(1, 20_000, unchanged))
	for _, sign := range []float64{1, -1} {
		if !seen(2 * sign * edge) {
			t.Errorf("%+.2f is not seen, said to be visible is %.2f", 2*sign*edge, edge)
		}
		if seen(sign * edge / 2) {
			t.Errorf("%+.2f is seen, said to be visible is %.2f", sign*edge/2, edge)
		}
	}
}
