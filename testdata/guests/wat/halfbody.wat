;; halfbody: middleware that reads up to 4 bytes of the request's body without feature_buffer_request, and passes the request on.
(module
  (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64)
    (drop (call $read_body (i32.const 0) (i32.const 0) (i32.const 4)))
    (i64.const 1))
  (func (export "handle_response") (param i32 i32)))
