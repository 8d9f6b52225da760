// The shortest way: one call runs a program to its end.
//
// Usage: run-once PROGRAM [ARGS]...
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: run-once PROGRAM [ARGS]...")
		os.Exit(1)
	}
	output, err := exec.Command(os.Args[1], os.Args[2:]...).Output()
	os.Stdout.Write(output)
	var exit *exec.ExitError
	switch {
	case err == nil:
		fmt.Println(os.Args[1], "exited with 0")
	case errors.As(err, &exit):
		// A program that ran and failed is a result: "exit status 1", or "signal: killed".
		fmt.Println(os.Args[1], "ended:", exit)
	default:
		// The grant does not list the program, or refuses an argument; the operator sees which.
		fmt.Println(os.Args[1], "did not run:", err)
	}
}
