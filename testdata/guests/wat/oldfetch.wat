;; oldfetch: calls the server of its setting "upstream" with the functions that guests of the first SDK import, one field at a
;; time. Answers with the status of the response, and a body of three lists of NUL-terminated strings, each followed by a
;; line end: the names of its fields, the values of x-two, and its body. A failure is answered with 502.
(module
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))
  (import "vespo" "config_get" (func $config_get (param $name i32) (param $name_len i32) (param $buf i32) (param $limit i32) (result i32)))
  (import "vespo" "fetch_open" (func $fetch_open (param $method i32) (param $method_len i32) (param $uri i32) (param $uri_len i32) (result i32)))
  (import "vespo" "fetch_header"
    (func $fetch_header (param $handle i32) (param $name i32) (param $name_len i32) (param $value i32) (param $value_len i32) (result i32)))
  (import "vespo" "fetch_write" (func $fetch_write (param $handle i32) (param $ptr i32) (param $len i32) (result i32)))
  (import "vespo" "fetch_send" (func $fetch_send (param $handle i32) (result i32)))
  (import "vespo" "fetch_header_names"
    (func $fetch_header_names (param $handle i32) (param $kind i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "vespo" "fetch_header_values"
    (func $fetch_header_values (param $handle i32) (param $kind i32) (param $name i32) (param $name_len i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "vespo" "fetch_read" (func $fetch_read (param $handle i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "vespo" "fetch_close" (func $fetch_close (param $handle i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x00) "upstream") ;; 8 bytes
  (data (i32.const 0x10) "POST")     ;; 4 bytes
  (data (i32.const 0x20) "x-mine")   ;; 6 bytes
  (data (i32.const 0x30) "x-two")    ;; 5 bytes
  (data (i32.const 0x40) "\n")

  ;; The rest of the page is one shared buffer of 16 KiB.
  (global $buf i32 (i32.const 0x4000))
  (global $limit i32 (i32.const 0x4000))

  ;; $put writes the length that is the lower half of a result, and a line end.
  (func $put (param $found i64)
    (call $write_body (i32.const 1) (global.get $buf) (i32.wrap_i64 (local.get $found)))
    (call $write_body (i32.const 1) (i32.const 0x40) (i32.const 1)))

  (func $fail (result i64)
    (call $set_status_code (i32.const 502))
    (i64.const 0))

  (func (export "handle_request") (result i64)
    (local $handle i32)
    (local $status i32)
    (local.set $handle
      (call $fetch_open (i32.const 0x10) (i32.const 4) (global.get $buf)
        (call $config_get (i32.const 0x00) (i32.const 8) (global.get $buf) (global.get $limit))))
    (if (i32.lt_s (local.get $handle) (i32.const 0)) (then (return (call $fail))))
    (if (call $fetch_header (local.get $handle) (i32.const 0x20) (i32.const 6) (i32.const 0x00) (i32.const 8)) (then (return (call $fail))))
    (if (call $fetch_write (local.get $handle) (i32.const 0x30) (i32.const 5)) (then (return (call $fail))))
    (local.set $status (call $fetch_send (local.get $handle)))
    (if (i32.lt_s (local.get $status) (i32.const 0)) (then (return (call $fail))))
    (call $set_status_code (local.get $status))
    (call $put (call $fetch_header_names (local.get $handle) (i32.const 1) (global.get $buf) (global.get $limit)))
    (call $put
      (call $fetch_header_values (local.get $handle) (i32.const 1) (i32.const 0x30) (i32.const 5) (global.get $buf) (global.get $limit)))
    (call $put (call $fetch_read (local.get $handle) (global.get $buf) (global.get $limit)))
    (drop (call $fetch_close (local.get $handle)))
    (i64.const 0))

  (func (export "handle_response") (param $context i32) (param $is_error i32)))
