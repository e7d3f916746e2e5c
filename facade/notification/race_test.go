//go:build race

package notification_test

// raceEnabled reports whether the race detector is on. The detector supports 8,128
// goroutines.
const raceEnabled = true
