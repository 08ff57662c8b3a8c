// Package consttime asks, by measuring, whether an operation takes a time that
// depends on its secret (T39). It has tests and nothing else: a short slice of
// the measurement runs with all tests, "make timing" runs all of it: 10^6
// samples of what takes nanoseconds or a few microseconds, 50,000 of each
// multiplication on the curve, both classes together.
//
// The method is that of dudect (Reparaz, Balasch, Verbauwhede: "Dude, is my
// code constant time?", 2017). Two classes of inputs are timed in an order
// drawn at random, and Welch's t-test tells whether the mean times of the
// classes differ; |t| below 4.5 counts as no difference seen.
//
// Three decisions are fixed here and not taken after seeing the figures:
//
//   - Crops. The slowest samples are mostly interrupts. The test is made six
//     times, over all samples and over the fastest 99, 95, 90, 75 and 50 % of
//     them, and the largest |t| counts: a leak in rare slow cases only shows
//     without a crop, one of a nanosecond only with a narrow one. The
//     threshold of a crop is taken over both classes together. Six tests make
//     an alarm without a cause at most six times as probable: 4 in 100,000.
//   - Noise. Whether a sample belongs to one class or the other is drawn
//     without regard to anything, so a busy machine makes the test blind but
//     never makes it see what is not there. Where nothing was seen the table
//     says about how large a difference would have been.
//   - Repetition. A leak is what shows in three runs in a row, each with new
//     inputs and twice the samples of the run before. The t of a real
//     difference grows with the square root of the samples; chance does not.
//     All values of |t| are printed.
//
// Not seeing a difference is no proof: it says something about the two
// classes, this machine and this compiler, up to the difference named.
package consttime
