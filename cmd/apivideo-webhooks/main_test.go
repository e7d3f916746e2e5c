package main

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"testing"
)

// program is the name of the tool.
const program = "apivideo-webhooks"

// TestMain builds the tool. Tests run it as a process. Processes in the background are
// the test binary itself, so that the race detector sees them.
func TestMain(m *testing.M) {
	if os.Args[0] == program {
		main()
	}
	os.Exit(buildAndTest(m))
}

func buildAndTest(m *testing.M) int {
	folder, err := os.MkdirTemp("", program)
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-buildvcs=false", "-o", folder, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	_ = os.Setenv("PATH", folder+":"+os.Getenv("PATH")) // the name is valid
	_ = os.Setenv("GORACE", raceOptions)                // the name is valid
	_ = flag.Set("test.parallel", "8")                  // most tests wait for a process
	return m.Run()
}

// raceOptions lets a process with the race detector end at once. By default it
// sleeps for a second.
const raceOptions = "atexit_sleep_ms=0"
