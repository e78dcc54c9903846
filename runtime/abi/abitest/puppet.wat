;; puppet: a guest whose behaviour is defined by the test. Each of its functions calls the host function "act"
;; with its own number (0 _initialize, 1 handle_request, 2 handle_response, 3 _start) and its parameters.
(module
  (import "test" "act" (func $act (param $entry i32) (param $context i32) (param $is_error i32) (result i64)))
  (memory (export "memory") 2 4)
  (func (export "_initialize")
    (drop (call $act (i32.const 0) (i32.const 0) (i32.const 0))))
  (func (export "handle_request") (result i64)
    (call $act (i32.const 1) (i32.const 0) (i32.const 0)))
  (func (export "handle_response") (param $context i32) (param $is_error i32)
    (drop (call $act (i32.const 2) (local.get $context) (local.get $is_error))))
  (func (export "_start")
    (drop (call $act (i32.const 3) (i32.const 0) (i32.const 0)))))
