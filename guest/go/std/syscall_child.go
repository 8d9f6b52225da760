//go:build wasip1

// Part of package syscall: children. A child's number is that of an own descriptor, from which a read ends when
// the child has ended; so Go's poller waits for it as for a stream.

package syscall

import "unsafe"

type ownChild struct {
	handle  int32
	sources []*ownSource
	closed  bool
}

// release drops the handle, once nobody needs it: not its number, and not an output that is still to be taken.
func (c *ownChild) release() {
	if !c.closed || c.handle == noHandle {
		return
	}
	for _, s := range c.sources {
		if !s.taken {
			return
		}
	}
	host_drop_child(c.handle)
	c.handle = noHandle
}

// status is the end of the child in Linux' encoding.
func (c *ownChild) status() (WaitStatus, bool) {
	var out struct {
		_     [0]uint64
		bytes [20]byte
	}
	host_status(c.handle, unsafe.Pointer(&out))
	if out.bytes[0] == 0 {
		return 0, false
	}
	switch kind, value := out.bytes[4], out.bytes[8]; kind {
	case 0:
		return WaitStatus(value) << 8, true
	case 1:
		return ownSignal(value), true
	default:
		// The host ended it: `value` is the reason, and an optional signal follows.
		if out.bytes[9] != 0 {
			return ownSignal(out.bytes[10]) | WaitStatus(value+1)<<16, true
		}
		return WaitStatus(SIGKILL) | WaitStatus(value+1)<<16, true
	}
}

// ownSignal is WASI's number for the host's number of a signal: Linux has one more, 16.
func ownSignal(number uint8) WaitStatus {
	if number > 16 {
		number--
	}
	return WaitStatus(number & 0x7f)
}

func (w WaitStatus) Exited() bool   { return w&0x7f == 0 }
func (w WaitStatus) Signaled() bool { return w&0x7f != 0 }
func (w WaitStatus) ExitStatus() int {
	if !w.Exited() {
		return -1
	}
	return int(w>>8) & 0xff
}
func (w WaitStatus) Signal() Signal {
	if !w.Signaled() {
		return SIGNONE
	}
	return Signal(w & 0x7f)
}
func (w WaitStatus) CoreDump() bool     { return false }
func (w WaitStatus) Stopped() bool      { return false }
func (w WaitStatus) Continued() bool    { return false }
func (w WaitStatus) StopSignal() Signal { return SIGNONE }
func (w WaitStatus) TrapCause() int     { return -1 }

// KillReason is why the host ended the child: "timeout", "memory" and so on, or "" if it did not.
func (w WaitStatus) KillReason() string {
	reasons := [...]string{"", "requested", "released", "timeout", "cpu-time", "memory", "processes", "file-size",
		"output", "lifetime", "host"}
	if reason := int(w >> 16); reason < len(reasons) {
		return reasons[reason]
	}
	return "host"
}

// hostList is a list of the canonical ABI. Pointers have 32 bits there.
type hostList struct{ at, size uint32 }

func listOf(b []byte) hostList {
	return hostList{uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), uint32(len(b))}
}

// validText reports whether it is UTF-8: the host ends a component that calls other bytes text.
func validText(s string) bool {
	for i, r := range s {
		if r == 0xfffd && s[i:min(i+3, len(s))] != "\uFFFD" {
			return false
		}
	}
	return true
}

// The environment that the operator gave the component. It is the component's own: a child receives of it what
// the program changed, and what the grant sets.
var givenEnv = func() map[string]bool {
	given := map[string]bool{}
	for _, v := range runtime_envs() {
		given[v] = true
	}
	return given
}()

func setEnvironment(options int32, env []string, dir string) {
	var pairs [][2]hostList
	var keep [][]byte
	for _, v := range env {
		// Package os/exec adds PWD, which the host's child knows.
		if givenEnv[v] || dir != "" && v == "PWD="+dir {
			continue
		}
		equals := 0
		for equals < len(v) && v[equals] != '=' {
			equals++
		}
		if equals == 0 || equals == len(v) || !validText(v[:equals]) {
			continue
		}
		bytes := []byte(v)
		keep = append(keep, bytes)
		pairs = append(pairs, [2]hostList{listOf(bytes[:equals]), listOf(bytes[equals+1:])})
	}
	host_set_env(options, unsafe.Pointer(unsafe.SliceData(pairs)), int32(len(pairs)))
	keepAlive(keep)
}

//go:noinline
func keepAlive(any) {}

// outputOf returns the kind of a child's output, and its pipe.
func outputOf(file uintptr) (kind int32, pipe *ownPipe, err Errno) {
	o := ownOf(int(file))
	switch {
	case o == nil || o.child != nil || (o.pipe != nil && !o.writes):
		return 0, nil, EBADF
	case o.pipe == nil:
		return 0, nil, 0
	}
	return 1, o.pipe, 0
}

// names are the commands that this path may mean: each command of the grant is in every directory of PATH.
func names(path string) []string {
	slash := len(path) - 1
	for slash >= 0 && path[slash] != '/' {
		slash--
	}
	if slash < 0 || path[0] != '/' {
		return []string{path}
	}
	searched, _ := Getenv("PATH")
	searched += ":/usr/local/bin:/usr/bin:/bin"
	for start, i := 0, 0; i <= len(searched); i++ {
		if i == len(searched) || searched[i] == ':' {
			if searched[start:i] == path[:slash] {
				return []string{path, path[slash+1:]}
			}
			start = i + 1
		}
	}
	return []string{path}
}

// StartProcess starts a program of the grant. Its files are descriptors of pipes; package os makes them.
func StartProcess(argv0 string, argv []string, attr *ProcAttr) (pid int, handle uintptr, err error) {
	if len(attr.Files) > 3 {
		return 0, 0, ENOTSUP
	}
	if argv0 == "" || !validText(argv0) {
		return 0, 0, ENOENT
	}
	options := host_options()
	defer host_drop_options(options)
	var files [3]uintptr
	var kinds [3]int32
	var pipes [3]*ownPipe
	for i := copy(files[:], attr.Files); i < 3; i++ {
		files[i] = ^uintptr(0)
	}
	for i := 1; i < 3; i++ {
		if files[i] == ^uintptr(0) {
			continue
		}
		kind, pipe, errno := outputOf(files[i])
		if errno != 0 {
			return 0, 0, errno
		}
		kinds[i], pipes[i] = kind, pipe
	}
	if pipes[1] != nil && pipes[1] == pipes[2] {
		// One pipe, which keeps the order of all that is written.
		kinds[2], pipes[2] = 3, nil
	}
	host_set_stdout(options, kinds[1])
	host_set_stderr(options, kinds[2])
	if files[0] != ^uintptr(0) {
		o := ownOf(int(files[0]))
		if o == nil || o.writes || o.child != nil {
			return 0, 0, EBADF
		}
		pipes[0] = o.pipe
	}
	passed := false
	if p := pipes[0]; p != nil {
		if passed = p.pass(options); !passed {
			host_set_stdin(options, 1, 0, 0)
		}
	}

	setEnvironment(options, attr.Env, attr.Dir)
	if attr.Dir != "" {
		if !validText(attr.Dir) {
			return 0, 0, ENOENT
		}
		dir := []byte(attr.Dir)
		host_set_cwd(options, unsafe.Pointer(unsafe.SliceData(dir)), int32(len(dir)))
	}
	child, errno := start(argv0, argv, options)
	if errno != 0 {
		return 0, 0, errno
	}
	c := &ownChild{handle: child}
	o := &own{child: c, stream: noHandle}
	if err := o.install(); err != nil {
		host_drop_child(child)
		return 0, 0, err
	}
	for i := 1; i < 3; i++ {
		if p := pipes[i]; p != nil {
			s := &ownSource{child: c, number: i, stream: noHandle}
			c.sources = append(c.sources, s)
			p.sources = append(p.sources, s)
			p.announce()
		}
	}
	if p := pipes[0]; p != nil && !passed {
		p.feed(c)
	}
	return o.number, 0, nil
}

func start(argv0 string, argv []string, options int32) (int32, Errno) {
	var args []hostList
	var keep [][]byte
	text := true
	for _, a := range argv[min(1, len(argv)):] {
		bytes := []byte(a)
		text = text && validText(a)
		keep = append(keep, bytes)
		args = append(args, listOf(bytes))
	}
	list, count := unsafe.Pointer(unsafe.SliceData(args)), int32(len(args))
	if !text {
		host_set_args(options, list, count)
		list, count = nil, 0
	}
	var r hostResult
	errno := ENOENT
	for _, name := range names(argv0) {
		program := []byte(name)
		r = hostResult{}
		host_spawn(unsafe.Pointer(unsafe.SliceData(program)), int32(len(program)), list, count, 1, options, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
		var again bool
		if errno, again = r.err(); !again {
			break
		}
	}
	keepAlive(keep)
	keepAlive(args)
	if errno != 0 {
		return 0, errno
	}
	return r.handle(), 0
}

// pass hands the output of the child that writes this pipe to the host, for the child that will read it.
func (p *ownPipe) pass(options int32) bool {
	if len(p.sources) != 1 || p.sources[0].taken || len(p.bytes) > 0 {
		return false
	}
	s := p.sources[0]
	var r hostResult
	if s.number == 1 {
		host_pass_stdout(s.child.handle, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
	} else {
		host_pass_stderr(s.child.handle, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
	}
	if r.failed != 0 {
		return false
	}
	host_set_stdin_pipe(options, r.handle())
	s.taken = true
	p.sources = nil
	s.child.release()
	p.announce()
	return true
}

// feed connects the pipe with the input of a child. What the pipe holds, and what children write into it, comes
// through the component.
func (p *ownPipe) feed(c *ownChild) {
	var r hostResult
	host_take_stdin(c.handle, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
	if r.failed != 0 {
		return
	}
	p.sink = r.handle()
	if len(p.bytes) > 0 {
		n, _ := streamWrite(p.sink, p.bytes)
		p.bytes = p.bytes[n:]
	}
	if p.writers == 0 && len(p.bytes) == 0 && len(p.sources) == 0 {
		host_drop_output(p.sink)
		p.sink = noHandle
	}
	p.announce()
}

// Wait4 never blocks in package os, which calls it when the child has ended.
func Wait4(pid int, wstatus *WaitStatus, options int, rusage *Rusage) (wpid int, err error) {
	o := ownOf(pid)
	if o == nil || o.child == nil {
		return -1, ECHILD
	}
	status, ended := o.child.status()
	if !ended {
		return 0, EAGAIN
	}
	if wstatus != nil {
		*wstatus = status
	}
	owns[pid-firstOwn] = nil
	capspawnSet(pid, 0, noHandle, true)
	o.child.closed = true
	o.child.release()
	return pid, nil
}

// hostSignals are the names of the interface, by their order.
var hostSignals = [...]Signal{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGKILL, SIGUSR1, SIGUSR2, SIGSTOP, SIGCONT, SIGWINCH, SIGALRM, SIGPIPE}

// killOwn sends a signal to an own child.
func killOwn(pid int, signum Signal) error {
	o := ownOf(pid)
	if o == nil || o.child == nil {
		return ESRCH
	}
	if signum == 0 {
		return nil
	}
	for i, s := range hostSignals {
		if s == signum {
			var r hostResult
			host_signal(o.child.handle, int32(i), unsafe.Pointer(&r), unsafe.Pointer(&hostText))
			if r.failed != 0 {
				return EPERM
			}
			return nil
		}
	}
	return EINVAL
}
