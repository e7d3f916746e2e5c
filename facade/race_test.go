//go:build race

package facade_test

// raceEnabled means that a test with many cases runs a tenth of them.
const raceEnabled = true
