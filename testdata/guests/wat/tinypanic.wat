;; tinypanic: ends as a panic does in TinyGo's runtime: it prints the message to standard output, in pieces of at most 120
;; bytes, and traps. The message has two lines. A request with a method of 4 bytes (POST) traps without a message.
(module
  (import "http_handler" "get_method" (func $get_method (param $buf i32) (param $limit i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $count i32) (param $written i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0x00) "\20\00\00\00\04\00\00\00") ;; an iovec: the first 4 bytes of the message
  (data (i32.const 0x08) "\24\00\00\00\24\00\00\00") ;; the rest, 36 bytes
  (data (i32.const 0x20) "panic: session a5f0\0asecond line, too\0d\0a\0a")

  (func (export "handle_request") (result i64)
    (if (i32.ne (call $get_method (i32.const 0x100) (i32.const 16)) (i32.const 4))
      (then
        (drop (call $fd_write (i32.const 1) (i32.const 0x00) (i32.const 1) (i32.const 0x18)))
        (drop (call $fd_write (i32.const 1) (i32.const 0x08) (i32.const 1) (i32.const 0x18)))))
    (unreachable))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
