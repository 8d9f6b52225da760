//go:build wasip1

// Part of package os: the pipes and the children of a component.

package os

import (
	"internal/poll"
	"syscall"
)

// Pipe returns a connected pair of Files; reads from r return bytes written to w.
func Pipe() (r *File, w *File, err error) {
	var ends [2]int
	if err := syscall.Pipe(ends[:]); err != nil {
		return nil, nil, NewSyscallError("pipe", err)
	}
	return newFile(ends[0], "|0", kindPipe, true), newFile(ends[1], "|1", kindPipe, true), nil
}

// capspawnCopy is the most that one step of a copy moves.
const capspawnCopy = 65536

// capspawnCopies are the goroutines that copy between a child and files of the component, which are no files of the
// host.
type capspawnCopies struct {
	// The child's ends, which it has once it was started.
	childs []*File
	// A copy of an output has ended when this is closed.
	outputs []chan struct{}
	// The component's input, which nobody reads for a child that has ended.
	input *File
	// Started copies only begin when the child runs.
	begin []func()
}

// The copies of each child that runs. Goroutines of a component take turns, so that no lock is needed.
var capspawnCopying = map[int]*capspawnCopies{}

// capspawnFiles adds a child's descriptors to `fds`.
func capspawnFiles(files []*File, fds *[]uintptr) (*capspawnCopies, error) {
	c := &capspawnCopies{}
	merged := len(files) > 2 && files[1] != nil && files[1] == files[2]
	for i, f := range files {
		if i == 2 && merged {
			*fds = append(*fds, (*fds)[1])
			continue
		}
		if f == nil || syscall.CapspawnOwn(f.Fd()) {
			*fds = append(*fds, f.Fd())
			continue
		}
		end, err := c.connect(i, f)
		if err != nil {
			c.started(0, err)
			return nil, err
		}
		*fds = append(*fds, end.Fd())
	}
	return c, nil
}

// connect makes a pipe for the child, and a goroutine that copies between it and the file.
func (c *capspawnCopies) connect(number int, f *File) (*File, error) {
	r, w, err := Pipe()
	if err != nil {
		return nil, err
	}
	// The program may close its file while the child runs.
	kept, err := capspawnKeep(f)
	if err != nil {
		return nil, err
	}
	if number == 0 {
		c.childs = append(c.childs, r)
		c.input = kept
		c.begin = append(c.begin, func() {
			capspawnMove(w, kept)
			w.Close()
		})
		return r, nil
	}
	c.childs = append(c.childs, w)
	ended := make(chan struct{})
	c.outputs = append(c.outputs, ended)
	c.begin = append(c.begin, func() {
		capspawnMove(kept, r)
		// The child learns that nobody reads.
		r.Close()
		kept.Close()
		close(ended)
	})
	return w, nil
}

// capspawnKeep returns one more File of the same descriptor.
func capspawnKeep(f *File) (*File, error) {
	fd := int(f.Fd())
	switch {
	case fd <= 2:
		standard, err := syscall.CapspawnStandard(fd)
		if err != nil {
			return nil, err
		}
		return newFile(standard, f.name, kindPipe, true), nil
	case fd >= 1<<16:
		more, err := syscall.Dup(fd)
		if err != nil {
			return nil, err
		}
		return newFile(more, f.name, kindPipe, true), nil
	}
	if f.pfd.RefCountPtr == nil {
		f.pfd.RefCount = 1
		f.pfd.RefCountPtr = &f.pfd.RefCount
	}
	return &File{&file{pfd: f.pfd.Copy(), name: f.name}}, nil
}

func capspawnMove(to, from *File) {
	buffer := make([]byte, capspawnCopy)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// started begins the copies of a child that runs.
func (c *capspawnCopies) started(pid int, err error) {
	for _, f := range c.childs {
		f.Close()
	}
	if err != nil {
		return
	}
	capspawnCopying[pid] = c
	for _, copy := range c.begin {
		go copy()
	}
}

// blockUntilWaitable blocks this goroutine until the child has ended and all that it wrote is where it belongs.
func (p *Process) blockUntilWaitable() (bool, error) {
	// The child's number is a descriptor, from which a read ends with the child.
	fd := poll.FD{Sysfd: p.Pid, IsStream: true, ZeroReadIsEOF: true}
	if err := fd.Init("file", true); err != nil {
		return false, NewSyscallError("wait", err)
	}
	var nothing [1]byte
	fd.Read(nothing[:])
	fd.Close()
	if c := capspawnCopying[p.Pid]; c != nil {
		delete(capspawnCopying, p.Pid)
		if c.input != nil {
			c.input.Close()
		}
		for _, ended := range c.outputs {
			<-ended
		}
	}
	return true, nil
}
