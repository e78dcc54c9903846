;; echo: responds with the request's body, in pieces as it arrives. Keeps content-type and returns method and URI in the
;; headers x-method and x-uri. A method, URI or content-type of more than 16 KiB is answered with 431.
(module
  (import "http_handler" "get_method" (func $get_method (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "get_uri" (func $get_uri (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "get_header_values"
    (func $get_header_values (param $kind i32) (param $name i32) (param $name_len i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "set_header_value"
    (func $set_header_value (param $kind i32) (param $name i32) (param $name_len i32) (param $value i32) (param $value_len i32)))
  (import "http_handler" "read_body" (func $read_body (param $kind i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x00) "content-type") ;; 12 bytes
  (data (i32.const 0x10) "x-method")     ;; 8 bytes
  (data (i32.const 0x20) "x-uri")        ;; 5 bytes

  ;; The rest of the page is one shared buffer of 16 KiB.
  (global $buf i32 (i32.const 0x4000))
  (global $limit i32 (i32.const 0x4000))

  ;; $set_header sets a response header to the first $len bytes of the buffer. If they do not fit, it answers 431 and returns 0.
  (func $set_header (param $name i32) (param $name_len i32) (param $len i32) (result i32)
    (if (i32.gt_u (local.get $len) (global.get $limit))
      (then
        (call $set_status_code (i32.const 431))
        (return (i32.const 0))))
    (call $set_header_value (i32.const 1) (local.get $name) (local.get $name_len) (global.get $buf) (local.get $len))
    (i32.const 1))

  ;; $keep_content_type copies the request's first content-type, if there is any, to the response.
  (func $keep_content_type (result i32)
    (local $found i64)
    (local.set $found
      (call $get_header_values (i32.const 0) (i32.const 0x00) (i32.const 12) (global.get $buf) (global.get $limit)))
    (if (i64.eqz (i64.shr_u (local.get $found) (i64.const 32))) ;; count
      (then (return (i32.const 1))))
    (if (i32.gt_u (i32.wrap_i64 (local.get $found)) (global.get $limit))
      (then (return (call $set_header (i32.const 0x00) (i32.const 12) (i32.wrap_i64 (local.get $found))))))
    (call $set_header (i32.const 0x00) (i32.const 12) (call $until_nul)))

  ;; $until_nul returns the length of the NUL-terminated string at the start of the buffer.
  (func $until_nul (result i32)
    (local $n i32)
    (block $end
      (loop $next
        (br_if $end (i32.eqz (i32.load8_u (i32.add (global.get $buf) (local.get $n)))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n))

  ;; $copy_body moves the body in pieces of at most 16 KiB until its end.
  (func $copy_body
    (local $read i64)
    (loop $next
      (local.set $read (call $read_body (i32.const 0) (global.get $buf) (global.get $limit)))
      (if (i32.wrap_i64 (local.get $read)) ;; length
        (then (call $write_body (i32.const 1) (global.get $buf) (i32.wrap_i64 (local.get $read)))))
      (br_if $next (i64.eqz (i64.shr_u (local.get $read) (i64.const 32)))))) ;; end of file

  (func (export "handle_request") (result i64)
    (call $set_status_code (i32.const 200))
    (if (call $set_header (i32.const 0x10) (i32.const 8) (call $get_method (global.get $buf) (global.get $limit)))
      (then
        (if (call $set_header (i32.const 0x20) (i32.const 5) (call $get_uri (global.get $buf) (global.get $limit)))
          (then
            (if (call $keep_content_type)
              (then (call $copy_body)))))))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
