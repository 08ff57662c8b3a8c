//go:build cgo && !race

package sim

// defaultSeeds is how many random schedules run if nobody asks for another
// number.
const defaultSeeds = 2000
