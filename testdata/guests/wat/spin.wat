;; spin: misbehaves in the way selected by the last path segment. Other paths, such as /, are answered "ok".
;;
;;   /loop      endless loop
;;   /recurse   endless recursion by direct calls
;;   /indirect  endless recursion by calls through a table
;;   /tree      2^40 calls, without any loop or recursion
;;   /tail      endless chain of tail calls
;;   /fill      endless memory.fill of 16 MiB at once (or of all memory, if that is less)
;;   /copy      the same with memory.copy
;;   /trap      unreachable
;;   /oobstore  store beyond the end of memory
;;   /grow      grow memory until refused, then trap
;;   /growok    grow memory until refused, then answer "ok"
;;   /partial   answer 200 and "part", then trap
;;   /stall     answer 200 and "part", then loop endlessly
(module
  (import "http_handler" "get_uri" (func $get_uri (param $buf i32) (param $limit i32) (result i32)))
  (import "http_handler" "set_status_code" (func $set_status_code (param $status i32)))
  (import "http_handler" "write_body" (func $write_body (param $kind i32) (param $ptr i32) (param $len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0x00) "ok\n")  ;; 3 bytes
  (data (i32.const 0x10) "part\n") ;; 5 bytes
  (data (i32.const 0x100) "loop")
  (data (i32.const 0x110) "recurse")
  (data (i32.const 0x120) "indirect")
  (data (i32.const 0x130) "tree")
  (data (i32.const 0x140) "tail")
  (data (i32.const 0x150) "fill")
  (data (i32.const 0x160) "copy")
  (data (i32.const 0x170) "trap")
  (data (i32.const 0x180) "oobstore")
  (data (i32.const 0x190) "grow")
  (data (i32.const 0x1a0) "growok")
  (data (i32.const 0x1b0) "partial")
  (data (i32.const 0x1c0) "stall")

  (table 1 1 funcref)
  (elem (i32.const 0) $indirect)
  (type $nothing (func))

  (global $uri i32 (i32.const 0x1000)) ;; buffer of 4 KiB
  (global $path_end (mut i32) (i32.const 0)) ;; end of the last path segment

  (func $loop (loop $again (br $again)))

  (func $recurse (call $recurse) (call $nop))
  (func $nop)

  (func $indirect (call_indirect (type $nothing) (i32.const 0)) (call $nop))

  ;; Forty functions, each calling the next one twice.
  (func $tree (call $tree1) (call $tree1))
  (func $tree1 (call $tree2) (call $tree2))
  (func $tree2 (call $tree3) (call $tree3))
  (func $tree3 (call $tree4) (call $tree4))
  (func $tree4 (call $tree5) (call $tree5))
  (func $tree5 (call $tree6) (call $tree6))
  (func $tree6 (call $tree7) (call $tree7))
  (func $tree7 (call $tree8) (call $tree8))
  (func $tree8 (call $tree9) (call $tree9))
  (func $tree9 (call $tree10) (call $tree10))
  (func $tree10 (call $tree11) (call $tree11))
  (func $tree11 (call $tree12) (call $tree12))
  (func $tree12 (call $tree13) (call $tree13))
  (func $tree13 (call $tree14) (call $tree14))
  (func $tree14 (call $tree15) (call $tree15))
  (func $tree15 (call $tree16) (call $tree16))
  (func $tree16 (call $tree17) (call $tree17))
  (func $tree17 (call $tree18) (call $tree18))
  (func $tree18 (call $tree19) (call $tree19))
  (func $tree19 (call $tree20) (call $tree20))
  (func $tree20 (call $tree21) (call $tree21))
  (func $tree21 (call $tree22) (call $tree22))
  (func $tree22 (call $tree23) (call $tree23))
  (func $tree23 (call $tree24) (call $tree24))
  (func $tree24 (call $tree25) (call $tree25))
  (func $tree25 (call $tree26) (call $tree26))
  (func $tree26 (call $tree27) (call $tree27))
  (func $tree27 (call $tree28) (call $tree28))
  (func $tree28 (call $tree29) (call $tree29))
  (func $tree29 (call $tree30) (call $tree30))
  (func $tree30 (call $tree31) (call $tree31))
  (func $tree31 (call $tree32) (call $tree32))
  (func $tree32 (call $tree33) (call $tree33))
  (func $tree33 (call $tree34) (call $tree34))
  (func $tree34 (call $tree35) (call $tree35))
  (func $tree35 (call $tree36) (call $tree36))
  (func $tree36 (call $tree37) (call $tree37))
  (func $tree37 (call $tree38) (call $tree38))
  (func $tree38 (call $tree39) (call $tree39))
  (func $tree39 (call $tree40) (call $tree40))
  (func $tree40)

  (func $tail (return_call $tail))

  ;; $memory_bytes grows memory to 16 MiB if the host allows it, and returns its size.
  (func $memory_bytes (result i32)
    (drop (memory.grow (i32.const 255)))
    (i32.shl (memory.size) (i32.const 16)))

  (func $fill (local $bytes i32)
    (local.set $bytes (call $memory_bytes))
    (loop $again
      (memory.fill (i32.const 0) (i32.const 0x55) (local.get $bytes))
      (br $again)))

  (func $copy (local $bytes i32)
    (local.set $bytes (call $memory_bytes))
    (loop $again
      (memory.copy (i32.const 0) (i32.const 1) (i32.sub (local.get $bytes) (i32.const 1)))
      (br $again)))

  (func $trap (unreachable))

  (func $oobstore (i32.store (i32.shl (memory.size) (i32.const 16)) (i32.const 1)))

  (func $growok
    (loop $again
      (br_if $again (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))))

  (func $grow (call $growok) (unreachable))

  (func $part
    (call $set_status_code (i32.const 200))
    (call $write_body (i32.const 1) (i32.const 0x10) (i32.const 5)))

  (func $partial (call $part) (unreachable))

  (func $stall (call $part) (call $loop))

  ;; $read_path writes the URI to the buffer and finds the end of its path.
  (func $read_path (local $end i32)
    (local.set $end (i32.add (global.get $uri) (call $get_uri (global.get $uri) (i32.const 4096))))
    (global.set $path_end (global.get $uri))
    (block $found
      (loop $next
        (br_if $found (i32.ge_u (global.get $path_end) (local.get $end)))
        (br_if $found (i32.eq (i32.load8_u (global.get $path_end)) (i32.const 0x3f))) ;; ?
        (global.set $path_end (i32.add (global.get $path_end) (i32.const 1)))
        (br $next))))

  ;; $path_is reports whether the path's last segment is the given word.
  (func $path_is (param $word i32) (param $len i32) (result i32)
    (local $p i32)
    (local.set $p (i32.sub (global.get $path_end) (local.get $len)))
    (if (i32.le_u (local.get $p) (global.get $uri)) (then (return (i32.const 0))))
    (if (i32.ne (i32.load8_u (i32.sub (local.get $p) (i32.const 1))) (i32.const 0x2f)) (then (return (i32.const 0)))) ;; /
    (loop $next
      (if (i32.ne (i32.load8_u (local.get $p)) (i32.load8_u (local.get $word))) (then (return (i32.const 0))))
      (local.set $word (i32.add (local.get $word) (i32.const 1)))
      (local.set $p (i32.add (local.get $p) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $p) (global.get $path_end))))
    (i32.const 1))

  (func (export "handle_request") (result i64)
    (call $read_path)
    (if (call $path_is (i32.const 0x100) (i32.const 4)) (then (call $loop)))
    (if (call $path_is (i32.const 0x110) (i32.const 7)) (then (call $recurse)))
    (if (call $path_is (i32.const 0x120) (i32.const 8)) (then (call $indirect)))
    (if (call $path_is (i32.const 0x130) (i32.const 4)) (then (call $tree)))
    (if (call $path_is (i32.const 0x140) (i32.const 4)) (then (call $tail)))
    (if (call $path_is (i32.const 0x150) (i32.const 4)) (then (call $fill)))
    (if (call $path_is (i32.const 0x160) (i32.const 4)) (then (call $copy)))
    (if (call $path_is (i32.const 0x170) (i32.const 4)) (then (call $trap)))
    (if (call $path_is (i32.const 0x180) (i32.const 8)) (then (call $oobstore)))
    (if (call $path_is (i32.const 0x190) (i32.const 4)) (then (call $grow)))
    (if (call $path_is (i32.const 0x1a0) (i32.const 6)) (then (call $growok)))
    (if (call $path_is (i32.const 0x1b0) (i32.const 7)) (then (call $partial)))
    (if (call $path_is (i32.const 0x1c0) (i32.const 5)) (then (call $stall)))
    (call $set_status_code (i32.const 200))
    (call $write_body (i32.const 1) (i32.const 0x00) (i32.const 3))
    (i64.const 0))

  (func (export "handle_response") (param $ctx i32) (param $is_error i32)))
