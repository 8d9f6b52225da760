//go:build wasip1

// Part of package syscall: the library's own descriptors, which are ends of pipes and children.

package syscall

import "unsafe"

const (
	firstOwn = 1 << 16
	mostOwn  = 1 << 12
	noHandle = -1

	waitsInput  = 1
	waitsOutput = 2
	waitsChild  = 3
)

// Implemented in package runtime.
func capspawnSet(number int, kind uint8, handle int32, ready bool)

// own is what an own descriptor is: an end of a pipe, a child, a standard stream of the component, or nothing
// (/dev/null).
type own struct {
	number int
	pipe   *ownPipe
	writes bool
	child  *ownChild
	// A standard stream of the component, which is an output if `writes`.
	stream int32
}

// ownPipe is a pipe whose ends this component and its children hold.
type ownPipe struct {
	// Its open ends in this component.
	ends             []*own
	readers, writers int
	// What the component has written and nobody has read.
	bytes []byte
	// The outputs of children that write it.
	sources []*ownSource
	// The input of the child that reads it.
	sink int32
}

// ownSource is an output of a child. The stream is taken when the first byte is needed: until then the host can still
// hand it to another child.
type ownSource struct {
	child  *ownChild
	number int
	taken  bool
	stream int32
}

var owns [mostOwn]*own

func ownOf(fd int) *own {
	if fd < firstOwn || fd >= firstOwn+mostOwn {
		return nil
	}
	return owns[fd-firstOwn]
}

func isOwn(fd int) bool { return fd >= firstOwn }

// install gives it the lowest free number.
func (o *own) install() error {
	for i := range owns {
		if owns[i] == nil {
			owns[i] = o
			o.number = firstOwn + i
			o.announce()
			return nil
		}
	}
	return EMFILE
}

// announce tells the poller what the next wait is for.
func (o *own) announce() {
	switch p := o.pipe; {
	case o.child != nil:
		capspawnSet(o.number, waitsChild, o.child.handle, false)
	case p == nil && o.stream != noHandle && o.writes:
		capspawnSet(o.number, waitsOutput, o.stream, false)
	case p == nil && o.stream != noHandle:
		capspawnSet(o.number, waitsInput, o.stream, false)
	case p == nil:
		capspawnSet(o.number, waitsInput, noHandle, true)
	case o.writes:
		capspawnSet(o.number, waitsOutput, p.sink, p.sink == noHandle && (p.readers == 0 || len(p.bytes) < hostChunk))
	default:
		handle := int32(noHandle)
		ready := len(p.bytes) > 0 || (len(p.sources) == 0 && p.writers == 0)
		if len(p.sources) > 0 {
			// A read takes the stream, if nobody has.
			handle = p.sources[0].stream
			ready = ready || handle == noHandle
		}
		capspawnSet(o.number, waitsInput, handle, ready)
	}
}

func (p *ownPipe) announce() {
	for _, o := range p.ends {
		o.announce()
	}
}

func (s *ownSource) take() bool {
	if !s.taken {
		s.taken = true
		var r hostResult
		if s.number == 1 {
			host_take_stdout(s.child.handle, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
		} else {
			host_take_stderr(s.child.handle, unsafe.Pointer(&r), unsafe.Pointer(&hostText))
		}
		s.stream = noHandle
		if r.failed == 0 {
			s.stream = r.handle()
		}
		s.child.release()
	}
	return s.stream != noHandle
}

func (s *ownSource) close() {
	if s.take() {
		host_drop_input(s.stream)
		s.stream = noHandle
	}
}

func ownPipeEnds(fd []int) error {
	p := &ownPipe{sink: noHandle}
	for i := range 2 {
		o, err := p.open(i == 1)
		if err != nil {
			if i == 1 {
				ownClose(fd[0])
			}
			return err
		}
		fd[i] = o.number
	}
	return nil
}

// open makes one more descriptor of an end.
func (p *ownPipe) open(writes bool) (*own, error) {
	o := &own{pipe: p, writes: writes, stream: noHandle}
	p.ends = append(p.ends, o)
	if writes {
		p.writers++
	} else {
		p.readers++
	}
	err := o.install()
	if err != nil {
		p.left(o)
	}
	p.announce()
	return o, err
}

// left takes a descriptor off its pipe.
func (p *ownPipe) left(o *own) {
	for i, end := range p.ends {
		if end == o {
			p.ends = append(p.ends[:i:i], p.ends[i+1:]...)
			break
		}
	}
	if o.writes {
		p.writers--
	} else {
		p.readers--
	}
}

func ownDup(fd int) (int, error) {
	o := ownOf(fd)
	if o == nil {
		return -1, EBADF
	}
	if o.pipe == nil {
		return -1, ENOTSUP
	}
	made, err := o.pipe.open(o.writes)
	if err != nil {
		return -1, err
	}
	return made.number, nil
}

func ownRead(fd int, b []byte) (int, error) {
	o := ownOf(fd)
	switch {
	case o == nil || o.writes:
		return 0, EBADF
	case o.child != nil:
		if _, ended := o.child.status(); ended {
			return 0, nil
		}
		return 0, EAGAIN
	case o.pipe == nil && o.stream == noHandle, len(b) == 0:
		return 0, nil
	case o.pipe == nil:
		return streamRead(o.stream, b)
	}
	p := o.pipe
	defer p.announce()
	if len(p.bytes) > 0 {
		n := copy(b, p.bytes)
		p.bytes = p.bytes[n:]
		return n, nil
	}
	for len(p.sources) > 0 {
		if p.sources[0].take() {
			n, err := streamRead(p.sources[0].stream, b)
			if n > 0 || err != nil {
				return n, err
			}
		}
		p.sources[0].close()
		p.sources = p.sources[1:]
	}
	if p.writers > 0 {
		return 0, EAGAIN
	}
	return 0, nil
}

func ownWrite(fd int, b []byte) (int, error) {
	o := ownOf(fd)
	switch {
	case o == nil || o.child != nil || (o.pipe != nil && !o.writes):
		return 0, EBADF
	case o.pipe == nil && o.stream != noHandle:
		return streamWrite(o.stream, b)
	case o.pipe == nil:
		return len(b), nil
	}
	p := o.pipe
	defer p.announce()
	if p.sink != noHandle {
		n, err := streamWrite(p.sink, b)
		if err == EPIPE {
			host_drop_output(p.sink)
			p.sink = noHandle
		}
		return n, err
	}
	if p.readers == 0 {
		return 0, EPIPE
	}
	room := hostChunk - len(p.bytes)
	if room == 0 {
		return 0, EAGAIN
	}
	if len(b) > room {
		b = b[:room]
	}
	p.bytes = append(p.bytes, b...)
	return len(b), nil
}

func ownClose(fd int) error {
	o := ownOf(fd)
	if o == nil {
		return EBADF
	}
	if o.child != nil {
		// Wait4 does.
		return nil
	}
	owns[fd-firstOwn] = nil
	capspawnSet(fd, 0, noHandle, true)
	p := o.pipe
	if p == nil {
		if o.stream != noHandle && o.writes {
			streamFlush(o.stream)
			host_drop_output(o.stream)
		} else if o.stream != noHandle {
			host_drop_input(o.stream)
		}
		return nil
	}
	p.left(o)
	if p.writers == 0 && p.sink != noHandle {
		// The child finds the end of its input.
		host_drop_output(p.sink)
		p.sink = noHandle
	}
	if p.readers == 0 && p.sink == noHandle {
		for _, s := range p.sources {
			s.close()
		}
		p.sources, p.bytes = nil, nil
	}
	p.announce()
	return nil
}

// ownStat makes an own descriptor look like a pipe, or like a device.
func ownStat(fd int, st *Stat_t) error {
	o := ownOf(fd)
	if o == nil {
		return EBADF
	}
	*st = Stat_t{Filetype: FILETYPE_UNKNOWN, Mode: 0600}
	if o.pipe == nil && o.child == nil {
		st.Filetype = FILETYPE_CHARACTER_DEVICE
	}
	return nil
}

// ownNull opens /dev/null, which the component has no file for.
func ownNull() (int, error) {
	o := &own{stream: noHandle}
	if err := o.install(); err != nil {
		return -1, err
	}
	return o.number, nil
}

// CapspawnStandard opens standard stream 0, 1 or 2 of the component, which does not block other goroutines, and moves
// more at a time than WASI 0.1 does.
func CapspawnStandard(number int) (int, error) {
	o := &own{writes: number > 0}
	switch number {
	case 0:
		o.stream = host_get_stdin()
	case 1:
		o.stream = host_get_stdout()
	default:
		o.stream = host_get_stderr()
	}
	if err := o.install(); err != nil {
		return -1, err
	}
	return o.number, nil
}

// CapspawnOwn reports whether a child can have this descriptor as it is: the host has the other end, or nothing has
// gone through the component so far. Everything else is copied.
func CapspawnOwn(fd uintptr) bool {
	o := ownOf(int(fd))
	if o == nil || o.pipe == nil {
		return o != nil && o.stream == noHandle
	}
	p := o.pipe
	if o.writes {
		return p.sink == noHandle
	}
	return len(p.sources) == 0 || len(p.sources) == 1 && !p.sources[0].taken && len(p.bytes) == 0
}
