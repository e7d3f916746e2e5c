package facade_test

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a test leaks a goroutine.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http logs bytes after the end of a body
	goleak.VerifyTestMain(m)
}
