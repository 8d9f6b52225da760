;; What Go imports from the module `capspawn`: the interfaces of the host, over the canonical ABI.
;;
;; The host puts each list that it returns into memory which it requests from `cabi_import_realloc`. Go's
;; allocator cannot be called then. So a function that returns a list has one more parameter, the place for it:
;; the caller's own buffer, to which the bytes come without a copy. A call returns one list at most.
(module
  (import "wasi:io/streams@0.2.0" "[method]input-stream.read"
    (func $read (param i32 i64 i32)))
  (import "wasi:io/streams@0.2.0" "[method]input-stream.subscribe"
    (func $subscribe-input (param i32) (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.check-write"
    (func $check-write (param i32 i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.write"
    (func $write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.subscribe"
    (func $subscribe-output (param i32) (result i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]input-stream"
    (func $drop-input (param i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream"
    (func $drop-output (param i32)))
  (import "wasi:io/error@0.2.0" "[resource-drop]error"
    (func $drop-error (param i32)))
  (import "wasi:io/poll@0.2.0" "poll"
    (func $poll (param i32 i32 i32)))
  (import "wasi:io/poll@0.2.0" "[resource-drop]pollable"
    (func $drop-pollable (param i32)))
  (import "wasi:clocks/monotonic-clock@0.2.0" "subscribe-duration"
    (func $subscribe-duration (param i64) (result i32)))
  (import "wasi:cli/stdin@0.2.12" "get-stdin"
    (func $get-stdin (result i32)))
  (import "wasi:cli/stdout@0.2.12" "get-stdout"
    (func $get-stdout (result i32)))
  (import "wasi:cli/stderr@0.2.12" "get-stderr"
    (func $get-stderr (result i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-flush"
    (func $flush (param i32 i32)))
  (import "wasi:cli/exit@0.2.12" "exit-with-code"
    (func $exit-with-code (param i32)))
  (import "capspawn:process/types@0.2.0" "[constructor]spawn-options"
    (func $options (result i32)))
  (import "capspawn:process/types@0.2.0" "[resource-drop]spawn-options"
    (func $drop-options (param i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-env-bytes"
    (func $set-env (param i32 i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-args-bytes"
    (func $set-args (param i32 i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-arg0"
    (func $set-arg0 (param i32 i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-cwd"
    (func $set-cwd (param i32 i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-stdin"
    (func $set-stdin (param i32 i32 i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-stdout"
    (func $set-stdout (param i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-stderr"
    (func $set-stderr (param i32 i32)))
  (import "capspawn:process/types@0.2.0" "[method]spawn-options.set-stdin-pipe"
    (func $set-stdin-pipe (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[static]child.spawn"
    (func $spawn (param i32 i32 i32 i32 i32 i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.id"
    (func $id (param i32) (result i64)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.poll"
    (func $status (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.subscribe"
    (func $subscribe-child (param i32) (result i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.signal"
    (func $signal (param i32 i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.signal-tree"
    (func $signal-tree (param i32 i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.take-stdin"
    (func $take-stdin (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.take-stdout"
    (func $take-stdout (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.take-stderr"
    (func $take-stderr (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.pass-stdout"
    (func $pass-stdout (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[method]child.pass-stderr"
    (func $pass-stderr (param i32 i32)))
  (import "capspawn:process/spawn@0.2.0" "[resource-drop]child"
    (func $drop-child (param i32)))
  (import "env" "memory" (memory 0))

  (global $place (mut i32) (i32.const 0))
  (func (export "cabi_import_realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
    (result i32)
    (global.get $place))

  (func (export "read") (param i32 i64 i32 i32)
    (global.set $place (local.get 3))
    (call $read (local.get 0) (local.get 1) (local.get 2)))
  (func (export "subscribe-input") (param i32) (result i32)
    (call $subscribe-input (local.get 0)))
  (func (export "check-write") (param i32 i32)
    (call $check-write (local.get 0) (local.get 1)))
  (func (export "write") (param i32 i32 i32 i32)
    (call $write (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "subscribe-output") (param i32) (result i32)
    (call $subscribe-output (local.get 0)))
  (func (export "drop-input") (param i32)
    (call $drop-input (local.get 0)))
  (func (export "drop-output") (param i32)
    (call $drop-output (local.get 0)))
  (func (export "drop-error") (param i32)
    (call $drop-error (local.get 0)))
  (func (export "poll") (param i32 i32 i32 i32)
    (global.set $place (local.get 3))
    (call $poll (local.get 0) (local.get 1) (local.get 2)))
  (func (export "drop-pollable") (param i32)
    (call $drop-pollable (local.get 0)))
  (func (export "subscribe-duration") (param i64) (result i32)
    (call $subscribe-duration (local.get 0)))
  (func (export "get-stdin") (result i32)
    (call $get-stdin))
  (func (export "get-stdout") (result i32)
    (call $get-stdout))
  (func (export "get-stderr") (result i32)
    (call $get-stderr))
  (func (export "flush") (param i32 i32)
    (call $flush (local.get 0) (local.get 1)))
  (func (export "exit-with-code") (param i32)
    (call $exit-with-code (local.get 0)))
  (func (export "options") (result i32)
    (call $options))
  (func (export "drop-options") (param i32)
    (call $drop-options (local.get 0)))
  (func (export "set-env") (param i32 i32 i32)
    (call $set-env (local.get 0) (local.get 1) (local.get 2)))
  (func (export "set-args") (param i32 i32 i32)
    (call $set-args (local.get 0) (local.get 1) (local.get 2)))
  (func (export "set-arg0") (param i32 i32 i32)
    (call $set-arg0 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "set-cwd") (param i32 i32 i32)
    (call $set-cwd (local.get 0) (local.get 1) (local.get 2)))
  (func (export "set-stdin") (param i32 i32 i32 i32)
    (call $set-stdin (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "set-stdout") (param i32 i32)
    (call $set-stdout (local.get 0) (local.get 1)))
  (func (export "set-stderr") (param i32 i32)
    (call $set-stderr (local.get 0) (local.get 1)))
  (func (export "set-stdin-pipe") (param i32 i32)
    (call $set-stdin-pipe (local.get 0) (local.get 1)))
  (func (export "spawn") (param i32 i32 i32 i32 i32 i32 i32 i32)
    (global.set $place (local.get 7))
    (call $spawn (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5) (local.get 6)))
  (func (export "id") (param i32) (result i64)
    (call $id (local.get 0)))
  (func (export "status") (param i32 i32)
    (call $status (local.get 0) (local.get 1)))
  (func (export "subscribe-child") (param i32) (result i32)
    (call $subscribe-child (local.get 0)))
  (func (export "signal") (param i32 i32 i32 i32)
    (global.set $place (local.get 3))
    (call $signal (local.get 0) (local.get 1) (local.get 2)))
  (func (export "signal-tree") (param i32 i32 i32 i32)
    (global.set $place (local.get 3))
    (call $signal-tree (local.get 0) (local.get 1) (local.get 2)))
  (func (export "take-stdin") (param i32 i32 i32)
    (global.set $place (local.get 2))
    (call $take-stdin (local.get 0) (local.get 1)))
  (func (export "take-stdout") (param i32 i32 i32)
    (global.set $place (local.get 2))
    (call $take-stdout (local.get 0) (local.get 1)))
  (func (export "take-stderr") (param i32 i32 i32)
    (global.set $place (local.get 2))
    (call $take-stderr (local.get 0) (local.get 1)))
  (func (export "pass-stdout") (param i32 i32 i32)
    (global.set $place (local.get 2))
    (call $pass-stdout (local.get 0) (local.get 1)))
  (func (export "pass-stderr") (param i32 i32 i32)
    (global.set $place (local.get 2))
    (call $pass-stderr (local.get 0) (local.get 1)))
  (func (export "drop-child") (param i32)
    (call $drop-child (local.get 0)))
)
