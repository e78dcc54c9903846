;; flood: computes for some milliseconds, then responds with a body without end.
(module
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)

  (func (export "handle_request") (result i64)
    (local $left i32)
    (local.set $left (i32.const 20000000))
    (loop $compute
      (br_if $compute (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (loop $write
      (call $write_body (i32.const 1) (i32.const 0) (i32.const 0x4000))
      (br $write))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
