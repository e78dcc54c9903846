;; tokenhost: like token, but reads its bytes from the host in each request, and reports that with vespo_random.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param $buf i32) (param $len i32) (result i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (func (export "_initialize")
    (drop (call $random_get (i32.const 1024) (i32.const 16))))
  (func (export "vespo_random") (result i32) (i32.const 3))
  (func (export "handle_request") (result i64)
    (drop (call $random_get (i32.const 1024) (i32.const 16)))
    (call $write_body (i32.const 1) (i32.const 1024) (i32.const 16))
    (i64.const 0))
  (func (export "handle_response") (param i32 i32)))
