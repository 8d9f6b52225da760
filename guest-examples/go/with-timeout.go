// Limits the time of a program, and distinguishes a timeout from a crash.
//
// Usage: with-timeout MILLISECONDS PROGRAM [ARGS]...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: with-timeout MILLISECONDS PROGRAM [ARGS]...")
		os.Exit(1)
	}
	milliseconds, err := strconv.Atoi(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// The grant's limit still applies: a component can request less time, but not more.
	limited, cancel := context.WithTimeout(context.Background(), time.Duration(milliseconds)*time.Millisecond)
	defer cancel()
	err = exec.CommandContext(limited, os.Args[2], os.Args[3:]...).Run()
	var exit *exec.ExitError
	switch {
	case limited.Err() != nil:
		fmt.Println("too slow")
	case err == nil:
		fmt.Println("in time")
	case errors.As(err, &exit):
		fmt.Println("failed in time:", exit)
	default:
		fmt.Println(os.Args[2], "did not run:", err)
	}
}
