;; config: responds with the bytes that get_config returns, at most 64000. As middleware it answers like a service.
(module
  (import "http_handler" "get_config" (func $get_config (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (call $write_body (i32.const 1) (i32.const 0) (call $get_config (i32.const 0) (i32.const 64000)))
    (i64.const 0))
  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
