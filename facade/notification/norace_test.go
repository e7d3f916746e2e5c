//go:build !race

package notification_test

const raced = false
