package facade_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if the tests leave a goroutine behind, whatever their servers
// did.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
