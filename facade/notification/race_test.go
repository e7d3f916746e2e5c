//go:build race

package notification_test

// raced reports whether the race detector is on. It allows 8,128 goroutines.
const raced = true
