//go:build !race

package leakscan

const idle = false
