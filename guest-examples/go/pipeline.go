// Connects children without a shell: the output of one is the input of the next.
//
// Usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...
package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
)

func main() {
	var children []*exec.Cmd
	for words := os.Args[1:]; ; {
		end := slices.Index(words, ":")
		last := end < 0
		if last {
			end = len(words)
		}
		if end == 0 {
			fmt.Fprintln(os.Stderr, "usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...")
			os.Exit(2)
		}
		children = append(children, exec.Command(words[0], words[1:end]...))
		if last {
			break
		}
		words = words[end+1:]
	}
	for i, child := range children {
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		var read, write *os.File
		if i+1 < len(children) {
			var err error
			if read, write, err = os.Pipe(); err != nil {
				fmt.Fprintln(os.Stderr, "pipeline:", err)
				os.Exit(1)
			}
			child.Stdout, children[i+1].Stdin = write, read
		}
		if err := child.Start(); err != nil {
			fmt.Fprintln(os.Stderr, "pipeline:", err)
			os.Exit(1)
		}
		// The host connects both programs; the component keeps no end.
		write.Close()
		if i > 0 {
			child.Stdin.(*os.File).Close()
		}
	}
	// As with `pipefail` in a shell, one failed program fails the pipeline.
	code := 0
	for _, child := range children {
		if child.Wait() != nil {
			code = 1
		}
	}
	os.Exit(code)
}
