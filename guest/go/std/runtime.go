//go:build wasip1

// Part of package runtime: the host's streams and children in Go's poller.
//
// Go's runtime waits in one place, where no goroutine can run: in netpoll. There it waits for descriptors of
// WASI 0.1, which knows no children. So descriptors from capspawnFirst on are this library's, and a wait that
// has one of them is a wait of WASI 0.2, in which all that Go waits for takes part.

package runtime

import "unsafe"

const (
	// The number of the first own descriptor; the same as firstOwn of package syscall.
	capspawnFirst = 1 << 16
	// How many there may be at one time.
	capspawnMost = 1 << 12

	capspawnInput  = 1
	capspawnOutput = 2
	capspawnChild  = 3
)

// capspawnSource is what an own descriptor waits for.
type capspawnSource struct {
	// The handle of the host, or -1.
	handle int32
	kind   uint8
	// The wait has ended already.
	ready bool
}

var (
	capspawnSources [capspawnMost]capspawnSource
	// The operands of one wait. Go's stack is no place for what the host writes.
	capspawnPollables [capspawnMost]int32
	capspawnSubs      [capspawnMost]int32
	capspawnReady     [capspawnMost]uint32
	capspawnList      [2]uint32
	capspawnStdin     int32
)

//go:wasmimport capspawn poll
//go:noescape
func capspawn_poll(list unsafe.Pointer, count int32, list_out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn subscribe-input
func capspawn_subscribe_input(stream int32) int32

//go:wasmimport capspawn subscribe-output
func capspawn_subscribe_output(stream int32) int32

//go:wasmimport capspawn subscribe-child
func capspawn_subscribe_child(child int32) int32

//go:wasmimport capspawn subscribe-duration
func capspawn_subscribe_duration(nanoseconds int64) int32

//go:wasmimport capspawn drop-pollable
func capspawn_drop_pollable(pollable int32)

// capspawnSet states what an own descriptor waits for. Package syscall calls it.
//
//go:linkname capspawnSet syscall.capspawnSet
func capspawnSet(number int, kind uint8, handle int32, ready bool) {
	capspawnSources[number-capspawnFirst] = capspawnSource{handle, kind, ready}
}

// capspawnPoll is poll_oneoff, for own descriptors too.
func capspawnPoll(in *subscription, out *event, count size, nevents *size) errno {
	subscriptions := unsafe.Slice(in, count)
	events := unsafe.Slice(out, count)
	own := false
	for i := range subscriptions {
		s := &subscriptions[i]
		own = own || *s.u.eventtype() != eventtypeClock && s.u.subscriptionFdReadwrite().fd >= capspawnFirst
	}
	if !own {
		return poll_oneoff(in, out, count, nevents)
	}

	*nevents = 0
	happened := func(s *subscription) {
		e := &events[*nevents]
		*e = event{userdata: s.userdata, typ: *s.u.eventtype()}
		*nevents++
	}
	waits := int32(0)
	for i := range subscriptions {
		s := &subscriptions[i]
		pollable := int32(-1)
		if *s.u.eventtype() == eventtypeClock {
			pollable = capspawn_subscribe_duration(int64(s.u.subscriptionClock().timeout))
		} else if fd := s.u.subscriptionFdReadwrite().fd; fd < capspawnFirst {
			// A file of WASI never blocks for long.
			happened(s)
			continue
		} else {
			source := &capspawnSources[fd-capspawnFirst]
			switch {
			case source.ready:
				happened(s)
				continue
			case source.handle < 0:
				// Another goroutine makes it ready.
				continue
			case source.kind == capspawnInput:
				pollable = capspawn_subscribe_input(source.handle)
			case source.kind == capspawnOutput:
				pollable = capspawn_subscribe_output(source.handle)
			default:
				pollable = capspawn_subscribe_child(source.handle)
			}
		}
		capspawnPollables[waits] = pollable
		capspawnSubs[waits] = int32(i)
		waits++
	}
	if *nevents > 0 {
		// What is ready already does not wait for the rest.
		capspawnPollables[waits] = capspawn_subscribe_duration(0)
		capspawnSubs[waits] = -1
		waits++
	}
	if waits == 0 {
		fatal("all goroutines are asleep - deadlock!")
	}
	capspawn_poll(unsafe.Pointer(&capspawnPollables), waits, unsafe.Pointer(&capspawnList), unsafe.Pointer(&capspawnReady))
	for i := uint32(0); i < capspawnList[1]; i++ {
		if which := capspawnSubs[capspawnReady[i]]; which >= 0 {
			happened(&subscriptions[which])
		}
	}
	for i := int32(0); i < waits; i++ {
		capspawn_drop_pollable(capspawnPollables[i])
	}
	return 0
}

// capspawnHeap returns where Go's memory begins. The adapter of WASI 0.1 takes pages at its first call, and Go
// assumes that nobody else does. So the first call comes before Go's first page.
func capspawnHeap(end uintptr) uintptr {
	var now timestamp
	clock_time_get(clockMonotonic, 1, &now)
	if pages := uintptr(currentMemory()) * physPageSize; pages > end {
		return pages
	}
	return end
}

// capspawnGrown ends a component whose memory somebody else has grown.
func capspawnGrown(before int32) {
	if uintptr(before)*physPageSize != blocMax {
		throw("the memory has grown without Go")
	}
}
