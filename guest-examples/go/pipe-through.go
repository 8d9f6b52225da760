// A filter: copies standard input to a program, and its output to standard output.
//
// Usage: pipe-through PROGRAM [ARGS]...
//
// The streams may have any length; memory use is constant.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: pipe-through PROGRAM [ARGS]...")
		os.Exit(1)
	}
	command := exec.Command(os.Args[1], os.Args[2:]...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := command.Run(); err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.Exited() {
			os.Exit(exit.ExitCode())
		}
		fmt.Fprintf(os.Stderr, "pipe-through: %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
