package bench_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// The columns of benchstat.
const (
	viaFloor  = "via=floor"
	viaGen    = "via=gen"
	viaFacade = "via=facade"
	viaStripe = "via=stripe"
	viaSvix   = "via=svix"
	viaHMAC   = "via=hmac"
)

// serial measures calls of call in one goroutine, after one call as a warm-up.
func serial(b *testing.B, call func() error) {
	b.Helper()
	require.NoError(b, call())
	b.ReportAllocs()
	for b.Loop() {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
}

// parallel64 measures calls of call in 64 goroutines, after one call as a warm-up.
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
