;; puppet: a guest whose behaviour is defined by the test. Each of its functions calls the host function "act"
;; with its own number (0 _initialize, 1 handle_request, 2 handle_response, 3 _start, 4 cabi_realloc, 5 the handler of
;; wasi:http 0.2) and its parameters, of cabi_realloc alignment and size.
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
    (drop (call $act (i32.const 3) (i32.const 0) (i32.const 0))))
  (func (export "cabi_realloc") (param $at i32) (param $bytes i32) (param $align i32) (param $wanted i32) (result i32)
    (i32.wrap_i64 (call $act (i32.const 4) (local.get $align) (local.get $wanted))))
  (func (export "wasi:http/incoming-handler@0.2#handle") (param $request i32) (param $response i32)
    (drop (call $act (i32.const 5) (local.get $request) (local.get $response)))))
