// Runs several children at once. The first one to end wins, and the others are killed.
//
// Usage: many-children PROGRAM ARG... starts PROGRAM once for each ARG.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: many-children PROGRAM ARG...")
		os.Exit(1)
	}
	program := os.Args[1]
	all, kill := context.WithCancel(context.Background())
	ended := make(chan string)
	for _, arg := range os.Args[2:] {
		child := exec.CommandContext(all, program, arg)
		if err := child.Start(); err != nil {
			// The children that run end with this component.
			fmt.Fprintf(os.Stderr, "%s: %v\n", program, err)
			os.Exit(1)
		}
		go func() {
			child.Wait()
			ended <- fmt.Sprintf("%s %s: %v", program, arg, child.ProcessState)
		}()
	}
	fmt.Println(<-ended)
	kill()
	for range os.Args[3:] {
		<-ended
	}
}
