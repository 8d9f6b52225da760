// The claims of README.md, each a function. Runs in a component, with children of the grant beside it.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func check(holds bool, what ...any) {
	if !holds {
		_, _, line, _ := runtime.Caller(1)
		fmt.Fprintln(os.Stderr, append([]any{"line", line}, what...)...)
		os.Exit(1)
	}
}

func sh(command string) *exec.Cmd { return exec.Command("sh", "-c", command) }

func outputAndStatusArrive() {
	out, err := sh("echo out; echo err >&2; exit 3").Output()
	var exit *exec.ExitError
	check(string(out) == "out\n" && errors.As(err, &exit), string(out), err)
	check(exit.ExitCode() == 3 && string(exit.Stderr) == "err\n", exit)
	err = sh("kill -9 $$").Run()
	check(errors.As(err, &exit) && exit.ProcessState.String() == "signal: killed", err)
	both, err := sh("echo 1; echo 2 >&2; echo 3").CombinedOutput()
	check(err == nil && string(both) == "1\n2\n3\n", string(both), err)
}

func megabytesMoveBothWaysAtOnce() {
	input := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	command := sh("exec cat")
	command.Stdin = bytes.NewReader(input)
	out, err := command.Output()
	check(err == nil && bytes.Equal(out, input), len(out), err)
	// A child that does not read its input is no error.
	idle := sh("exit 0")
	idle.Stdin = bytes.NewReader(input)
	check(idle.Run() == nil)
}

func goroutinesRunWhileOneWaits() {
	ticks := 0
	done := make(chan error)
	go func() { done <- sh("sleep 0.3").Run() }()
	for {
		select {
		case err := <-done:
			check(err == nil && ticks > 5, ticks, err)
			return
		case <-time.After(10 * time.Millisecond):
			ticks++
		}
	}
}

func pipesTalkLineByLine() {
	command := sh("while read line; do echo \"<$line>\"; done")
	in, err := command.StdinPipe()
	check(err == nil, err)
	out, err := command.StdoutPipe()
	check(err == nil && command.Start() == nil, err)
	buffer := make([]byte, 64)
	for _, word := range []string{"one", "two"} {
		fmt.Fprintln(in, word)
		n, err := out.Read(buffer)
		check(string(buffer[:n]) == "<"+word+">\n", string(buffer[:n]), err)
	}
	in.Close()
	check(command.Wait() == nil)
	// A pipe of the component alone.
	r, w, err := os.Pipe()
	check(err == nil, err)
	go func() { fmt.Fprint(w, "own"); w.Close() }()
	own, err := io.ReadAll(r)
	check(string(own) == "own" && err == nil, string(own), err)
}

func pipelinesConnectInEitherOrder() {
	for _, readerFirst := range []bool{false, true} {
		r, w, err := os.Pipe()
		check(err == nil, err)
		first, second := sh("seq 1 100000"), sh("wc -l")
		var count bytes.Buffer
		first.Stdout, second.Stdin, second.Stdout = w, r, &count
		commands := []*exec.Cmd{first, second}
		if readerFirst {
			commands = []*exec.Cmd{second, first}
		}
		for _, command := range commands {
			check(command.Start() == nil)
		}
		r.Close()
		w.Close()
		check(first.Wait() == nil && second.Wait() == nil)
		check(strings.TrimSpace(count.String()) == "100000", readerFirst, count.String())
	}
}

func filesAreStreams() {
	check(os.WriteFile("/work/in", []byte("text\n"), 0o666) == nil)
	in, err := os.Open("/work/in")
	check(err == nil, err)
	out, err := os.Create("/work/out")
	check(err == nil, err)
	command := sh("cat; sleep 0.1; echo more")
	command.Stdin, command.Stdout = in, out
	check(command.Start() == nil)
	// The program's own descriptors may be closed while the child runs.
	in.Close()
	out.Close()
	check(command.Wait() == nil)
	text, err := os.ReadFile("/work/out")
	check(string(text) == "text\nmore\n", string(text), err)
}

func limitsAndSignalsEndAChild() {
	limited, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begin := time.Now()
	err := exec.CommandContext(limited, "sh", "-c", "exec sleep 20").Run()
	check(err != nil && limited.Err() != nil && time.Since(begin) < 10*time.Second, err)
	child := sh("exec sleep 20")
	check(child.Start() == nil && child.Process.Signal(syscall.SIGTERM) == nil)
	child.Wait()
	check(child.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM, child.ProcessState)
	check(child.ProcessState.Sys().(syscall.WaitStatus).KillReason() == "requested")
	check(errors.Is(child.Process.Kill(), os.ErrProcessDone))
	// A child whose output nobody reads is ended by its own SIGPIPE.
	yes := sh("exec yes")
	out, err := yes.StdoutPipe()
	check(err == nil && yes.Start() == nil, err)
	out.Close()
	yes.Wait()
	check(yes.ProcessState.Sys().(syscall.WaitStatus).Signal() == syscall.SIGPIPE, yes.ProcessState)
}

func refusalsAreErrors() {
	err := exec.Command("missing").Run()
	check(errors.Is(err, exec.ErrNotFound), err)
	err = exec.Command("/usr/bin/missing").Run()
	check(errors.Is(err, fs.ErrNotExist), err)
	err = exec.Command("seq", "-l").Run()
	check(errors.Is(err, fs.ErrPermission), err)
	// No bytes end the component.
	check(errors.Is(sh("exit \xff").Run(), fs.ErrPermission))
	check(exec.Command("\xff").Run() != nil)
	check(exec.Command("/bin/sh", "-c", "exit 0").Run() == nil)
}

func variablesAndDirectoriesReachTheChild() {
	check(os.Setenv("COLOR", "blue") == nil && os.Getenv("GIVEN") != "")
	check(sh("[ \"$COLOR\" = blue ] && [ -z \"$GIVEN\" ]").Run() == nil)
	command := sh("[ \"$PWD\" = /usr ] && [ -z \"$COLOR\" ]")
	command.Dir, command.Env = "/usr", []string{}
	check(command.Run() == nil)
}

func memoryIsGosAlone() {
	// What the garbage collector has taken and given back, while the host writes.
	var kept [][]byte
	for i := range 40 {
		kept = append(kept, bytes.Repeat([]byte{byte(i)}, 1<<20))
		out, err := sh("echo word").Output()
		check(err == nil && string(out) == "word\n", err)
	}
	runtime.GC()
	for i, block := range kept {
		check(bytes.Count(block, []byte{byte(i)}) == len(block), i)
	}
}

func main() {
	outputAndStatusArrive()
	megabytesMoveBothWaysAtOnce()
	goroutinesRunWhileOneWaits()
	pipesTalkLineByLine()
	pipelinesConnectInEitherOrder()
	filesAreStreams()
	limitsAndSignalsEndAChild()
	refusalsAreErrors()
	variablesAndDirectoriesReachTheChild()
	memoryIsGosAlone()
	fmt.Println("10 claims hold")
	os.Exit(6)
}
