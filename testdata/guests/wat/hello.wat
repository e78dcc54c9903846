;; hello: a minimal http-wasm guest. It answers every request in the same way.
(module
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "set_header_value"
    (func $set_header_value (param $kind i32) (param $name i32) (param $name_len i32) (param $value i32) (param $value_len i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x00) "content-type") ;; 12 bytes
  (data (i32.const 0x10) "text/plain")   ;; 10 bytes
  (data (i32.const 0x20) "hello from vespo\n") ;; 17 bytes

  ;; Result 0: the guest has answered; the host must not call the next handler.
  (func (export "handle_request") (result i64)
    (call $set_status_code (i32.const 200))
    (call $set_header_value (i32.const 1) (i32.const 0x00) (i32.const 12) (i32.const 0x10) (i32.const 10))
    (call $write_body (i32.const 1) (i32.const 0x20) (i32.const 17))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
