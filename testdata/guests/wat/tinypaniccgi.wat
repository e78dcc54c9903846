;; tinypaniccgi: a command that prints the beginning of an answer and then ends as tinypanic does.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0x00) "\20\00\00\00\20\00\00\00") ;; an iovec: the answer, 32 bytes
  (data (i32.const 0x08) "\40\00\00\00\14\00\00\00") ;; the message, 20 bytes
  (data (i32.const 0x20) "Content-Type: text/plain\0a\0ahello\0a")
  (data (i32.const 0x40) "panic: session a5f0\0a")

  (func (export "_start")
    (drop (call $fd_write (i32.const 1) (i32.const 0x00) (i32.const 1) (i32.const 0x18)))
    (drop (call $fd_write (i32.const 1) (i32.const 0x08) (i32.const 1) (i32.const 0x18)))
    (unreachable)))
