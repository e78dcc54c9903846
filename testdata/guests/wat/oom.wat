;; oom: demonstrates the memory limit. The last path segment is a number of kilobytes (of 1024 bytes):
;;
;;   GET .../10    200 "successfully allocated 10kb of memory"
;;   GET .../1000  traps if the limit is 1 MiB; the host answers 500
;;   GET .../x     400
;;
;; The memory is allocated with memory.grow, and each byte of it is written.
(module
  (import "http_handler" "get_uri" (func $get_uri (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "set_header_value"
    (func $set_header_value (param $kind i32) (param $name i32) (param $name_len i32) (param $value i32) (param $value_len i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x00) "content-type") ;; 12 bytes
  (data (i32.const 0x10) "text/plain")   ;; 10 bytes
  (data (i32.const 0x20) "successfully allocated ") ;; 23 bytes
  (data (i32.const 0x40) "kb of memory\n") ;; 13 bytes
  (data (i32.const 0x50) "the last path segment must be a number of kilobytes, at most 4194303\n") ;; 69 bytes

  (global $uri i32 (i32.const 0x1000)) ;; buffer of 4 KiB

  ;; $answer_text sets status and content type; the body follows.
  (func $answer_text (param $status i32)
    (call $set_status_code (local.get $status))
    (call $set_header_value (i32.const 1) (i32.const 0x00) (i32.const 12) (i32.const 0x10) (i32.const 10)))

  ;; $path_end returns the end of the path: the address of the query's question mark, or the end of the URI.
  (func $path_end (param $len i32) (result i32)
    (local $p i32) (local $end i32)
    (local.set $p (global.get $uri))
    (local.set $end (i32.add (local.get $p) (local.get $len)))
    (block $found
      (loop $next
        (br_if $found (i32.eq (local.get $p) (local.get $end)))
        (br_if $found (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x3f))) ;; ?
        (local.set $p (i32.add (local.get $p) (i32.const 1)))
        (br $next)))
    (local.get $p))

  ;; $segment_start returns the address of the last path segment.
  (func $segment_start (param $end i32) (result i32)
    (block $found
      (loop $next
        (br_if $found (i32.eq (local.get $end) (global.get $uri)))
        (br_if $found (i32.eq (i32.load8_u (i32.sub (local.get $end) (i32.const 1))) (i32.const 0x2f))) ;; /
        (local.set $end (i32.sub (local.get $end) (i32.const 1)))
        (br $next)))
    (local.get $end))

  ;; $number parses the decimal digits between the addresses; -1 if there are none, other bytes, or more than 4194303 (4 GiB).
  (func $number (param $p i32) (param $end i32) (result i32)
    (local $n i32) (local $digit i32)
    (if (i32.eq (local.get $p) (local.get $end)) (then (return (i32.const -1))))
    (loop $next
      (local.set $digit (i32.sub (i32.load8_u (local.get $p)) (i32.const 0x30)))
      (if (i32.gt_u (local.get $digit) (i32.const 9)) (then (return (i32.const -1))))
      (local.set $n (i32.add (i32.mul (local.get $n) (i32.const 10)) (local.get $digit)))
      (if (i32.gt_u (local.get $n) (i32.const 4194303)) (then (return (i32.const -1))))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $p) (local.get $end))))
    (local.get $n))

  ;; $allocate grows memory by whole pages and writes the requested kilobytes. Traps if the host refuses.
  (func $allocate (param $kilobytes i32)
    (local $old_pages i32)
    (local.set $old_pages
      (memory.grow (i32.shr_u (i32.add (local.get $kilobytes) (i32.const 63)) (i32.const 6))))
    (if (i32.eq (local.get $old_pages) (i32.const -1)) (then (unreachable)))
    (memory.fill
      (i32.shl (local.get $old_pages) (i32.const 16))
      (i32.const 0xaa)
      (i32.shl (local.get $kilobytes) (i32.const 10))))

  (func (export "handle_request") (result i64)
    (local $len i32) (local $end i32) (local $start i32) (local $kilobytes i32)
    (local.set $len (call $get_uri (global.get $uri) (i32.const 4096)))
    (if (i32.gt_u (local.get $len) (i32.const 4096)) (then (local.set $len (i32.const 0)))) ;; nothing was written
    (local.set $end (call $path_end (local.get $len)))
    (local.set $start (call $segment_start (local.get $end)))
    (local.set $kilobytes (call $number (local.get $start) (local.get $end)))
    (if (i32.eq (local.get $kilobytes) (i32.const -1))
      (then
        (call $answer_text (i32.const 400))
        (call $write_body (i32.const 1) (i32.const 0x50) (i32.const 69))
        (return (i64.const 0))))
    (call $allocate (local.get $kilobytes))
    (call $answer_text (i32.const 200))
    (call $write_body (i32.const 1) (i32.const 0x20) (i32.const 23))
    (call $write_body (i32.const 1) (local.get $start) (i32.sub (local.get $end) (local.get $start)))
    (call $write_body (i32.const 1) (i32.const 0x40) (i32.const 13))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
