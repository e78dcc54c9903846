;; preset: middleware that sets response fields requested by request fields. "before-name" and "before-value" define a field set
;; before the request is passed on, "after-name" and "after-value" one set in handle_response. It enables
;; feature_buffer_response only for the latter.
(module
  (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
  (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
  (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "before-name")
  (data (i32.const 16) "before-value")
  (data (i32.const 32) "after-name")
  (data (i32.const 48) "after-value")

  ;; returns the length of the request field at $name, and writes its value to $to
  (func $field (param $name i32) (param $name_len i32) (param $to i32) (result i32)
    (local $found i64)
    (local.set $found (call $get_header_values (i32.const 0) (local.get $name) (local.get $name_len) (local.get $to) (i32.const 1024)))
    (if (i64.eqz (i64.shr_u (local.get $found) (i64.const 32))) (then (return (i32.const 0))))
    (i32.sub (i32.wrap_i64 (local.get $found)) (i32.const 1))) ;; without the NUL

  (func (export "handle_request") (result i64)
    (local $n i32)
    (if (call $field (i32.const 32) (i32.const 10) (i32.const 1024))
      (then (drop (call $enable_features (i32.const 2)))))
    (local.set $n (call $field (i32.const 0) (i32.const 11) (i32.const 1024)))
    (if (local.get $n) (then
      (call $set_header_value (i32.const 1) (i32.const 1024) (local.get $n)
        (i32.const 2048) (call $field (i32.const 16) (i32.const 12) (i32.const 2048)))))
    (i64.const 1))

  (func (export "handle_response") (param i32 i32)
    (local $n i32)
    (local.set $n (call $field (i32.const 32) (i32.const 10) (i32.const 1024)))
    (if (local.get $n) (then
      (call $set_header_value (i32.const 1) (i32.const 1024) (local.get $n)
        (i32.const 2048) (call $field (i32.const 48) (i32.const 11) (i32.const 2048)))))))
