// Command consumer uses every name that the packages below facade/ export, as a
// program outside of this module would: it is a module of its own that knows this
// one by its import paths alone. It talks to a server in memory, and fails if that
// goes otherwise than expected.
//
// It is compiled and run to see three things: what users write still compiles,
// for each exported name there is a use that one can think of, and no program
// gains other modules than modules.txt has. A new name needs a line in the file of
// its package.
package main

import (
	"context"
	"fmt"
	"os"
)

func main() {
	ctx := context.Background()
	for _, part := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"manage", manage},
		{"list", list},
		{"desire", desire},
		{"fail", fail},
		{"raw", raw},
		{"receive", receive},
		{"refuse", refuse},
		{"misbehave", misbehave},
	} {
		if err := part.run(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "consumer: %s: %v\n", part.name, err)
			os.Exit(1)
		}
	}
	fmt.Println("The program that uses every name exported below facade/ works.")
}

// unexpected is an error unless ok.
func unexpected(ok bool, got ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf("unexpected: %+v", got)
}
