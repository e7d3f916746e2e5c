package bench_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// What benchstat makes columns of.
const (
	viaFloor  = "via=floor"
	viaGen    = "via=gen"
	viaFacade = "via=facade"
	viaStripe = "via=stripe"
	viaSvix   = "via=svix"
	viaHMAC   = "via=hmac"
)

// one repeats a call that has been made once before the clock runs.
func one(b *testing.B, call func() error) {
	b.Helper()
	require.NoError(b, call())
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

// parallel64 has 64 goroutines repeat a call.
func parallel64(b *testing.B, call func() error) {
	b.Helper()
	require.NoError(b, call())
	b.SetParallelism((64 + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := call(); err != nil {
				b.Error(err)
			}
		}
	})
}
