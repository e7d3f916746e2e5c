//go:build race

package facade_test

// raceEnabled means that a test with many cases runs a part, often a tenth.
const raceEnabled = true
