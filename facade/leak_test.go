package facade_test

import (
	"io"
	"log"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if the tests leave a goroutine behind, whatever their servers
// did.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http tells it of bytes beyond the end of a body
	goleak.VerifyTestMain(m)
}
