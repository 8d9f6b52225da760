//go:build wasip1

// Part of package syscall: the host's functions, and its errors as Errno.

package syscall

import "unsafe"

//go:wasmimport capspawn read
//go:noescape
func host_read(stream int32, size int64, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn check-write
//go:noescape
func host_check_write(stream int32, out unsafe.Pointer)

//go:wasmimport capspawn write
//go:noescape
func host_write(stream int32, bytes unsafe.Pointer, size int32, out unsafe.Pointer)

//go:wasmimport capspawn drop-input
func host_drop_input(stream int32)

//go:wasmimport capspawn drop-output
func host_drop_output(stream int32)

//go:wasmimport capspawn drop-error
func host_drop_error(handle int32)

//go:wasmimport capspawn get-stdin
func host_get_stdin() int32

//go:wasmimport capspawn get-stdout
func host_get_stdout() int32

//go:wasmimport capspawn get-stderr
func host_get_stderr() int32

//go:wasmimport capspawn flush
//go:noescape
func host_flush(stream int32, out unsafe.Pointer)

//go:wasmimport capspawn options
func host_options() int32

//go:wasmimport capspawn drop-options
func host_drop_options(options int32)

//go:wasmimport capspawn set-env
//go:noescape
func host_set_env(options int32, list unsafe.Pointer, count int32)

//go:wasmimport capspawn set-args
//go:noescape
func host_set_args(options int32, list unsafe.Pointer, count int32)

//go:wasmimport capspawn set-arg0
//go:noescape
func host_set_arg0(options int32, text unsafe.Pointer, size int32)

//go:wasmimport capspawn set-cwd
//go:noescape
func host_set_cwd(options int32, text unsafe.Pointer, size int32)

//go:wasmimport capspawn set-stdin
func host_set_stdin(options int32, kind int32, bytes int32, size int32)

//go:wasmimport capspawn set-stdout
func host_set_stdout(options int32, kind int32)

//go:wasmimport capspawn set-stderr
func host_set_stderr(options int32, kind int32)

//go:wasmimport capspawn set-stdin-pipe
func host_set_stdin_pipe(options int32, reader int32)

//go:wasmimport capspawn spawn
//go:noescape
func host_spawn(program unsafe.Pointer, size int32, args unsafe.Pointer, count int32, some int32, options int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn status
//go:noescape
func host_status(child int32, out unsafe.Pointer)

//go:wasmimport capspawn signal
//go:noescape
func host_signal(child int32, signal int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn take-stdin
//go:noescape
func host_take_stdin(child int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn take-stdout
//go:noescape
func host_take_stdout(child int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn take-stderr
//go:noescape
func host_take_stderr(child int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn pass-stdout
//go:noescape
func host_pass_stdout(child int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn pass-stderr
//go:noescape
func host_pass_stderr(child int32, out unsafe.Pointer, place unsafe.Pointer)

//go:wasmimport capspawn drop-child
func host_drop_child(child int32)

//go:wasmimport capspawn exit-with-code
func host_exit(code int32)

// The most that one call moves: what a pipe of the host holds.
const hostChunk = 65536

// hostText is where the host puts the description of an error, which nobody reads.
var hostText [hostChunk]byte

// hostResult is a result of the host with a handle, or with an `error-code`.
type hostResult struct {
	_       [0]uint64
	failed  uint8
	_       [3]byte
	payload [16]byte
}

func (r *hostResult) handle() int32 {
	return *(*int32)(unsafe.Pointer(&r.payload))
}

// hostErrors has one row for each case of `error-code`. A command that the grant does not list is ENOENT and not
// EACCES: for the component it does not exist.
var hostErrors = [...]Errno{EACCES, EAGAIN, ENOENT, ENOEXEC, ENOENT, EINVAL, E2BIG, ENOMEM, EPERM, EBADF, EPIPE, ENOTSUP, EIO}

// deniedProgram is the case of `denied-item` for the program.
const deniedProgram = 0

// err returns the error and whether another name for the program may be tried.
func (r *hostResult) err() (Errno, bool) {
	if r.failed == 0 {
		return 0, false
	}
	kind, item := r.payload[0], r.payload[4]
	if kind == 0 && item == deniedProgram {
		return ENOENT, true
	}
	if int(kind) < len(hostErrors) {
		return hostErrors[kind], false
	}
	return EIO, false
}

// hostByte is one byte of a result; bytes of a result begin with the least.
func hostByte(out *[2]uint64, at int) uint8 {
	return uint8(out[at/8] >> (at % 8 * 8))
}

// streamRead never blocks. It returns EAGAIN if there is nothing now, and 0 at the end.
func streamRead(stream int32, b []byte) (int, error) {
	var out [2]uint64
	if len(b) > hostChunk {
		b = b[:hostChunk]
	}
	host_read(stream, int64(len(b)), unsafe.Pointer(&out), unsafe.Pointer(unsafe.SliceData(b)))
	if hostByte(&out, 0) != 0 {
		dropError(hostByte(&out, 4), int32(out[1]))
		return 0, nil
	}
	count := int(uint32(out[1]))
	if count == 0 {
		return 0, EAGAIN
	}
	return count, nil
}

// streamWrite never blocks. It returns EAGAIN if there is no room now, and EPIPE if nobody reads.
func streamWrite(stream int32, b []byte) (int, error) {
	var out [2]uint64
	host_check_write(stream, unsafe.Pointer(&out))
	if hostByte(&out, 0) != 0 {
		dropError(hostByte(&out, 8), int32(out[1]>>32))
		return 0, EPIPE
	}
	room := out[1]
	if room == 0 {
		return 0, EAGAIN
	}
	if uint64(len(b)) > room {
		b = b[:room]
	}
	host_write(stream, unsafe.Pointer(unsafe.SliceData(b)), int32(len(b)), unsafe.Pointer(&out))
	if hostByte(&out, 0) != 0 {
		dropError(hostByte(&out, 4), int32(out[1]))
		return 0, EPIPE
	}
	return len(b), nil
}

// streamFlush waits until all that was written has left the component.
func streamFlush(stream int32) {
	var out [2]uint64
	host_flush(stream, unsafe.Pointer(&out))
	if hostByte(&out, 0) != 0 {
		dropError(hostByte(&out, 4), int32(out[1]))
	}
}

// dropError drops the handle in a `stream-error`, if there is one.
func dropError(kind uint8, handle int32) {
	if kind == 0 {
		host_drop_error(handle)
	}
}
