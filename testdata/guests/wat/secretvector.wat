;; secretvector: like secret, for a mutable global of 128 bits. POST hides the first 16 bytes of its body in it and answers 200
;; "hidden"; GET answers 200 "clean", or 500 "low half" or "high half".
(module
  (import "http_handler" "get_method" (func $get_method (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "read_body" (func $read_body (param $kind i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x400) "clean\n")     ;; 6 bytes
  (data (i32.const 0x410) "hidden\n")    ;; 7 bytes
  (data (i32.const 0x420) "low half\n")  ;; 9 bytes
  (data (i32.const 0x430) "high half\n") ;; 10 bytes

  (global $v128 (mut v128) (v128.const i64x2 1 2))

  (func $answer (param $status i32) (param $ptr i32) (param $len i32)
    (call $set_status_code (local.get $status))
    (call $write_body (i32.const 1) (local.get $ptr) (local.get $len)))

  (func (export "handle_request") (result i64)
    ;; Limit 0: the host returns the method's length and writes nothing. GET has 3 bytes.
    (if (i32.ne (call $get_method (i32.const 0) (i32.const 0)) (i32.const 3))
      (then
        (drop (call $read_body (i32.const 0) (i32.const 0) (i32.const 16)))
        (global.set $v128 (v128.load (i32.const 0)))
        (call $answer (i32.const 200) (i32.const 0x410) (i32.const 7))
        (return (i64.const 0))))
    (if (i64.ne (i64x2.extract_lane 0 (global.get $v128)) (i64.const 1))
      (then
        (call $answer (i32.const 500) (i32.const 0x420) (i32.const 9))
        (return (i64.const 0))))
    (if (i64.ne (i64x2.extract_lane 1 (global.get $v128)) (i64.const 2))
      (then
        (call $answer (i32.const 500) (i32.const 0x430) (i32.const 10))
        (return (i64.const 0))))
    (call $answer (i32.const 200) (i32.const 0x400) (i32.const 6))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
