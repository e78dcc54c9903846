;; secrettable: like secret, for state other than memory and numbers: table entries and sizes, passive segments, and mutable
;; globals that hold references.
;;
;;   POST  changes all of it: table.set, table.fill, table.copy, table.init, table.grow, elem.drop, data.drop, global.set.
;;         Answers 200 "hidden".
;;   GET   answers 200 "clean", or 500 and the place of the first difference. A dropped segment causes a trap.
(module
  (import "http_handler" "get_method" (func $get_method (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x400) "clean\n")           ;; 6 bytes
  (data (i32.const 0x410) "hidden\n")          ;; 7 bytes
  (data (i32.const 0x420) "table size\n")      ;; 11 bytes
  (data (i32.const 0x430) "table entry\n")     ;; 12 bytes
  (data (i32.const 0x440) "empty entry\n")     ;; 12 bytes
  (data (i32.const 0x450) "funcref global\n")  ;; 15 bytes
  (data (i32.const 0x460) "passive data\n")    ;; 13 bytes
  (data (i32.const 0x470) "passive element\n") ;; 16 bytes
  (data $passive "passive!")

  ;; Eight entries: $one in the first, null in the others.
  (table $table 8 16 funcref)
  (elem (table $table) (i32.const 0) func $one)
  (elem $spare func $two $two)

  (type $number (func (result i32)))
  (func $one (type $number) (i32.const 1))
  (func $two (type $number) (i32.const 2))

  (global $reference (mut funcref) (ref.null func))

  (func $answer (param $status i32) (param $ptr i32) (param $len i32)
    (call $set_status_code (local.get $status))
    (call $write_body (i32.const 1) (local.get $ptr) (local.get $len)))

  (func $hide
    (table.set $table (i32.const 0) (ref.func $two))
    (table.fill $table (i32.const 2) (ref.func $two) (i32.const 2))
    (table.copy $table $table (i32.const 4) (i32.const 0) (i32.const 1))
    (table.init $table $spare (i32.const 6) (i32.const 0) (i32.const 2))
    (drop (table.grow $table (ref.func $two) (i32.const 4)))
    (elem.drop $spare)
    (data.drop $passive)
    (global.set $reference (ref.func $two))
    (call $answer (i32.const 200) (i32.const 0x410) (i32.const 7)))

  ;; $report answers 500 with the place if $found. It returns $found.
  (func $report (param $found i32) (param $ptr i32) (param $len i32) (result i32)
    (if (local.get $found) (then (call $answer (i32.const 500) (local.get $ptr) (local.get $len))))
    (local.get $found))

  ;; $filled reports whether there is any reference in the table's entries 1 to 7.
  (func $filled (result i32)
    (local $i i32)
    (local.set $i (i32.const 1))
    (loop $next
      (if (i32.eqz (ref.is_null (table.get $table (local.get $i)))) (then (return (i32.const 1))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 8))))
    (i32.const 0))

  (func $seek_table (result i32)
    (if (call $report (i32.ne (table.size $table) (i32.const 8)) (i32.const 0x420) (i32.const 11))
      (then (return (i32.const 1))))
    (if (call $report (i32.ne (call_indirect $table (type $number) (i32.const 0)) (i32.const 1)) (i32.const 0x430) (i32.const 12))
      (then (return (i32.const 1))))
    (if (call $report (call $filled) (i32.const 0x440) (i32.const 12))
      (then (return (i32.const 1))))
    (call $report (i32.eqz (ref.is_null (global.get $reference))) (i32.const 0x450) (i32.const 15)))

  ;; $seek_segments initialises from both passive segments, which traps if they were dropped.
  (func $seek_segments (result i32)
    (memory.init $passive (i32.const 0) (i32.const 0) (i32.const 8))
    (if (call $report (i64.ne (i64.load (i32.const 0)) (i64.const 0x2165766973736170)) (i32.const 0x460) (i32.const 13)) ;; "passive!"
      (then (return (i32.const 1))))
    (table.init $table $spare (i32.const 1) (i32.const 0) (i32.const 2))
    (call $report (i32.ne (call_indirect $table (type $number) (i32.const 2)) (i32.const 2)) (i32.const 0x470) (i32.const 16)))

  (func (export "handle_request") (result i64)
    ;; Limit 0: the host returns the method's length and writes nothing. GET has 3 bytes.
    (if (i32.ne (call $get_method (i32.const 0) (i32.const 0)) (i32.const 3))
      (then
        (call $hide)
        (return (i64.const 0))))
    (if (i32.eqz (call $seek_table))
      (then
        (if (i32.eqz (call $seek_segments))
          (then (call $answer (i32.const 200) (i32.const 0x400) (i32.const 6))))))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
