;; chatty: writes eight lines of 1,000 bytes to the log, and responds with an empty body.
(module
  (import "http_handler" "log" (func $log (param $level i32) (param $message i32) (param $message_len i32)))

  (memory (export "memory") 1)

  (func (export "handle_request") (result i64)
    (local $left i32)
    (memory.fill (i32.const 0) (i32.const 0x78) (i32.const 1000)) ;; x
    (local.set $left (i32.const 8))
    (loop $lines
      (call $log (i32.const 0) (i32.const 0) (i32.const 1000))
      (br_if $lines (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
