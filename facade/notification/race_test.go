//go:build race

package notification_test

// raced tells that the race detector is on, which allocates, and takes no more than
// 8,128 goroutines.
const raced = true
