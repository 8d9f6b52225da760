"""Writes the overlay that puts this library under Go's own os/exec.

Usage: overlay.py GOROOT FOLDER. `go build -overlay FOLDER/overlay.json` then compiles the standard library with it.

The standard library of this version of Go stays as it is but for the places below. Each is replaced by its text,
which must occur once: another version of Go is an error here and not a component that fails.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent

# Files that are added, or that take the place of one of Go's.
FILES = {
    "runtime/capspawn_wasip1.go": "runtime.go",
    "syscall/capspawn_host_wasip1.go": "syscall_host.go",
    "syscall/capspawn_pipe_wasip1.go": "syscall_pipe.go",
    "syscall/capspawn_child_wasip1.go": "syscall_child.go",
    "os/pipe_wasm.go": "os.go",
    "os/exec/lp_wasm.go": "exec_lookpath.go",
}


def guard(function, own):
    """A function that leaves the library's own descriptors to it."""
    return (function, f"{function}\n\tif isOwn(int(fd)) {{\n\t\treturn {own}\n\t}}\n")


# For each file, what is replaced by what.
CHANGES = {
    "runtime/mem_wasm.go": [("\t\tresetMemoryDataView()\n", "\t\tcapspawnGrown(size)\n\t\tresetMemoryDataView()\n")],
    "runtime/mem_sbrk.go": [
        ("\tbloc = memRound(firstmoduledata.end)\n", "\tbloc = capspawnHeap(memRound(firstmoduledata.end))\n")
    ],
    "runtime/netpoll_wasip1.go": [("errno := poll_oneoff(", "errno := capspawnPoll(")],
    "runtime/os_wasip1.go": [
        ("//go:wasmimport wasi_snapshot_preview1 proc_exit\n", "//go:wasmimport capspawn exit-with-code\n")
    ],
    "syscall/os_wasip1.go": [
        ("//go:wasmimport wasi_snapshot_preview1 proc_exit\n", "//go:wasmimport capspawn exit-with-code\n")
    ],
    "syscall/fs_wasip1.go": [
        guard("func Read(fd int, b []byte) (int, error) {", "ownRead(fd, b)"),
        guard("func Write(fd int, b []byte) (int, error) {", "ownWrite(fd, b)"),
        guard("func Close(fd int) error {", "ownClose(fd)"),
        guard("func Dup(fd int) (int, error) {", "ownDup(fd)"),
        guard("func Fstat(fd int, st *Stat_t) error {", "ownStat(fd, st)"),
        guard("func Seek(fd int, offset int64, whence int) (int64, error) {", "0, ESPIPE"),
        guard("func fd_fdstat_get_flags(fd int) (uint32, error) {", "FDFLAG_NONBLOCK, nil"),
        guard("func fd_fdstat_get_type(fd int) (uint8, error) {", "FILETYPE_UNKNOWN, nil"),
        ("func Pipe(fd []int) error {\n\treturn ENOSYS\n", "func Pipe(fd []int) error {\n\treturn ownPipeEnds(fd)\n"),
        (
            "func Open(path string, openmode int, perm uint32) (int, error) {",
            'func Open(path string, openmode int, perm uint32) (int, error) {\n\tif path == "/dev/null" {\n\t\treturn ownNull()\n\t}\n',
        ),
    ],
    "syscall/syscall_wasip1.go": [
        guard("func SetNonblock(fd int, nonblocking bool) error {", "nil"),
        (
            "func Kill(pid int, signum Signal) error {",
            "func Kill(pid int, signum Signal) error {\n\tif isOwn(pid) {\n\t\treturn killOwn(pid, signum)\n\t}\n",
        ),
    ],
    "os/exec_posix.go": [
        (
            "\tif attr != nil && attr.Sys == nil && attr.Dir",
            '\tif runtime.GOOS != "wasip1" && attr != nil && attr.Sys == nil && attr.Dir',
        ),
        (
            "\tfor _, f := range attr.Files {\n\t\tsysattr.Files = append(sysattr.Files, f.Fd())\n\t}\n",
            "\tcopies, err := capspawnFiles(attr.Files, &sysattr.Files)\n\tif err != nil {\n\t\treturn nil, err\n\t}\n",
        ),
        (
            "\tpid, h, e := syscall.StartProcess(name, argv, sysattr)\n",
            "\tpid, h, e := syscall.StartProcess(name, argv, sysattr)\n\tcopies.started(pid, e)\n",
        ),
    ],
    "os/exec/exec.go": [
        (
            "\t\tSys:   c.SysProcAttr,\n\t})\n\tif err != nil {\n\t\treturn err\n",
            "\t\tSys:   c.SysProcAttr,\n\t})\n\tif err != nil {\n\t\treturn startError(c.Path, err)\n",
        )
    ],
}
# What package syscall and package os declare without children.
REMOVED = {
    "syscall/syscall_wasip1.go": [
        ("func (w WaitStatus)", "\n"),
        ("func StartProcess(", "\n}\n"),
        ("func Wait4(", "\n}\n"),
    ],
    "os/wait_unimp.go": [("func (p *Process) blockUntilWaitable()", "\n}\n")],
}


def changed(name, text):
    for old, new in CHANGES.get(name, []):
        if text.count(old) != 1:
            sys.exit(f"overlay.py: {name} of this Go has {text.count(old)} times: {old}")
        text = text.replace(old, new)
    for begin, end in REMOVED.get(name, []):
        if begin not in text:
            sys.exit(f"overlay.py: {name} of this Go has no {begin}")
        while begin in text:
            start = text.index(begin)
            text = text[:start] + text[text.index(end, start) + len(end) :]
    return text


def main(goroot, folder):
    source, folder = pathlib.Path(goroot) / "src", pathlib.Path(folder)
    replaced = {str(source / name): str(HERE / "std" / file) for name, file in FILES.items()}
    for name in {**CHANGES, **REMOVED}:
        made = folder / name
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(changed(name, (source / name).read_text()))
        replaced[str(source / name)] = str(made)
    (folder / "overlay.json").write_text(json.dumps({"Replace": replaced}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
