//go:build wasip1

// Part of package os/exec: the look-up of a command.

package exec

import (
	"errors"
	"io/fs"
	"strings"
)

// ErrNotFound is the error resulting if a path search failed to find an executable file.
var ErrNotFound = errors.New("executable file not found in $PATH")

// lookPath returns the name itself, which is what a grant lists. The host has no function that reports whether the
// grant has it, and each start that it refuses is a line of the operator's log; so Start reports it.
func lookPath(file string) (string, error) {
	if err := validateLookPath(file); err != nil {
		return "", &Error{file, err}
	}
	return file, nil
}

// lookExtensions is a no-op on non-Windows platforms, since they do not restrict executables to specific extensions.
func lookExtensions(path, dir string) (string, error) {
	return path, nil
}

// startError is what a program that looks for an optional command tests for.
func startError(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) && !strings.Contains(path, "/") {
		return &Error{path, ErrNotFound}
	}
	return err
}
