;; secret: detects whether a request can see data of an earlier one.
;;
;;   POST  with a body (16 to 256 bytes): hides it at the low end of memory, over static data, at the high end, all over pages
;;         that it grows, and in mutable globals of each numeric type. Answers 200 "hidden", unless the body's first byte
;;         selects another end: T trap, L endless loop, O trap once memory is refused, R endless recursion, B an invalid
;;         status, P trap after a part of the response.
;;   GET   compares all memory, including pages that it grows itself, and all globals with those of a new instance, before it
;;         writes any byte. Answers 200 "clean", or 500 and the place of the first difference.
;;
;; Related guests: secretvector (a v128 global), secrettable (tables, passive segments, function references).
(module
  (import "http_handler" "get_method" (func $get_method (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "read_body" (func $read_body (param $kind i32) (param $buf i32) (param $limit i32) (result i64)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  ;; Two pages: zeros, except for 0x400-0x4ff.
  (memory (export "memory") 2)
  (data (i32.const 0x400) "clean\n")                 ;; 6 bytes
  (data (i32.const 0x410) "hidden\n")                ;; 7 bytes
  (data (i32.const 0x420) "low memory\n")            ;; 11 bytes
  (data (i32.const 0x430) "static data\n")           ;; 12 bytes
  (data (i32.const 0x440) "high memory\n")           ;; 12 bytes
  (data (i32.const 0x450) "memory size\n")           ;; 12 bytes
  (data (i32.const 0x460) "grown memory\n")          ;; 13 bytes
  (data (i32.const 0x470) "i32 global\n")            ;; 11 bytes
  (data (i32.const 0x480) "i64 global\n")            ;; 11 bytes
  (data (i32.const 0x490) "f32 global\n")            ;; 11 bytes
  (data (i32.const 0x4a0) "f64 global\n")            ;; 11 bytes
  (data (i32.const 0x4b0) "the secret needs 16 to 256 bytes\n") ;; 33 bytes
  (data (i32.const 0x4f8) "pristine") ;; overwritten by POST, compared by GET

  (global $i32 (mut i32) (i32.const 32))
  (global $i64 (mut i64) (i64.const 64))
  (global $f32 (mut f32) (f32.const 0.5))
  (global $f64 (mut f64) (f64.const 0.25))

  (global $initial_pages i32 (i32.const 2))
  (global $grow_pages i32 (i32.const 3))

  (func $answer (param $status i32) (param $ptr i32) (param $len i32)
    (call $set_status_code (local.get $status))
    (call $write_body (i32.const 1) (local.get $ptr) (local.get $len)))

  ;; $stamp writes the $len bytes at address 0 repeatedly, from $to up to $end.
  (func $stamp (param $len i32) (param $to i32) (param $end i32)
    (block $full
      (loop $next
        (br_if $full (i32.gt_u (i32.add (local.get $to) (local.get $len)) (local.get $end)))
        (memory.copy (local.get $to) (i32.const 0) (local.get $len))
        (local.set $to (i32.add (local.get $to) (local.get $len)))
        (br $next))))

  ;; $end ends the request in the way selected by a letter; it returns for other letters.
  (func $end (param $letter i32)
    (if (i32.eq (local.get $letter) (i32.const 0x54)) (then unreachable)) ;; T
    (if (i32.eq (local.get $letter) (i32.const 0x4c)) (then (loop $again (br $again)))) ;; L
    (if (i32.eq (local.get $letter) (i32.const 0x4f)) ;; O
      (then
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        unreachable))
    (if (i32.eq (local.get $letter) (i32.const 0x52)) (then (call $recurse))) ;; R
    (if (i32.eq (local.get $letter) (i32.const 0x42)) (then (call $set_status_code (i32.const 99)))) ;; B
    (if (i32.eq (local.get $letter) (i32.const 0x50)) ;; P
      (then
        (call $answer (i32.const 200) (i32.const 0x410) (i32.const 7))
        unreachable)))

  (func $recurse (call $recurse))

  (func $hide
    (local $len i32) (local $high i32) (local $old_pages i32)
    (local.set $len (i32.wrap_i64 (call $read_body (i32.const 0) (i32.const 0) (i32.const 256)))) ;; low
    (if (i32.lt_u (local.get $len) (i32.const 16))
      (then
        (call $answer (i32.const 400) (i32.const 0x4b0) (i32.const 33))
        (return)))
    (i64.store (i32.const 0x4f8) (i64.load (i32.const 0))) ;; static
    (local.set $high (i32.shl (global.get $initial_pages) (i32.const 16)))
    (call $stamp (local.get $len) (i32.sub (local.get $high) (i32.const 1024)) (local.get $high))
    (global.set $i32 (i32.load (i32.const 0)))
    (global.set $i64 (i64.load (i32.const 0)))
    (global.set $f32 (f32.load (i32.const 0)))
    (global.set $f64 (f64.load (i32.const 0)))
    (local.set $old_pages (memory.grow (global.get $grow_pages)))
    (if (i32.ne (local.get $old_pages) (i32.const -1))
      (then (call $stamp (local.get $len) (local.get $high) (i32.shl (memory.size) (i32.const 16)))))
    (call $end (i32.load8_u (i32.const 0)))
    (call $answer (i32.const 200) (i32.const 0x410) (i32.const 7)))

  ;; $dirty reports whether there are nonzero bytes between two addresses, which must be multiples of 8.
  (func $dirty (param $p i32) (param $end i32) (result i32)
    (loop $next
      (if (i64.ne (i64.load (local.get $p)) (i64.const 0)) (then (return (i32.const 1))))
      (local.set $p (i32.add (local.get $p) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $p) (local.get $end))))
    (i32.const 0))

  ;; $report answers 500 with the place if $found. It returns $found.
  (func $report (param $found i32) (param $ptr i32) (param $len i32) (result i32)
    (if (local.get $found) (then (call $answer (i32.const 500) (local.get $ptr) (local.get $len))))
    (local.get $found))

  (func $seek_memory (result i32)
    (local $high i32)
    (local.set $high (i32.shl (global.get $initial_pages) (i32.const 16)))
    (if (call $report (call $dirty (i32.const 0) (i32.const 0x400)) (i32.const 0x420) (i32.const 11))
      (then (return (i32.const 1))))
    (if (call $report (i64.ne (i64.load (i32.const 0x4f8)) (i64.const 0x656e697473697270)) (i32.const 0x430) (i32.const 12)) ;; "pristine"
      (then (return (i32.const 1))))
    (if (call $report (call $dirty (i32.const 0x500) (local.get $high)) (i32.const 0x440) (i32.const 12))
      (then (return (i32.const 1))))
    (if (call $report (i32.ne (memory.size) (global.get $initial_pages)) (i32.const 0x450) (i32.const 12))
      (then (return (i32.const 1))))
    (if (i32.eq (memory.grow (global.get $grow_pages)) (i32.const -1)) (then (return (i32.const 0))))
    (call $report (call $dirty (local.get $high) (i32.shl (memory.size) (i32.const 16))) (i32.const 0x460) (i32.const 13)))

  (func $seek_globals (result i32)
    (if (call $report (i32.ne (global.get $i32) (i32.const 32)) (i32.const 0x470) (i32.const 11))
      (then (return (i32.const 1))))
    (if (call $report (i64.ne (global.get $i64) (i64.const 64)) (i32.const 0x480) (i32.const 11))
      (then (return (i32.const 1))))
    (if (call $report (f32.ne (global.get $f32) (f32.const 0.5)) (i32.const 0x490) (i32.const 11))
      (then (return (i32.const 1))))
    (call $report (f64.ne (global.get $f64) (f64.const 0.25)) (i32.const 0x4a0) (i32.const 11)))

  (func (export "handle_request") (result i64)
    ;; Limit 0: the host returns the method's length and writes nothing. GET has 3 bytes.
    (if (i32.ne (call $get_method (i32.const 0) (i32.const 0)) (i32.const 3))
      (then
        (call $hide)
        (return (i64.const 0))))
    (if (i32.eqz (call $seek_memory))
      (then
        (if (i32.eqz (call $seek_globals))
          (then (call $answer (i32.const 200) (i32.const 0x400) (i32.const 6))))))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
