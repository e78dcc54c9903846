;; cat: a command that copies its standard input to its standard output. As a CGI guest it responds with the request's body,
;; so that a test can make it print any header and body.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param $fd i32) (param $vectors i32) (param $count i32) (param $n i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param $fd i32) (param $vectors i32) (param $count i32) (param $n i32) (result i32)))
  (memory (export "memory") 2)
  (global $vector i32 (i32.const 0))  ;; one vector: address and length
  (global $n i32 (i32.const 8))       ;; number of bytes read or written
  (global $buf i32 (i32.const 0x1000))
  (global $limit i32 (i32.const 0x10000))
  (func (export "_start")
    (loop $more
      (i32.store (global.get $vector) (global.get $buf))
      (i32.store offset=4 (global.get $vector) (global.get $limit))
      (if (call $fd_read (i32.const 0) (global.get $vector) (i32.const 1) (global.get $n)) (then unreachable))
      (if (i32.eqz (i32.load (global.get $n))) (then (return)))
      (i32.store offset=4 (global.get $vector) (i32.load (global.get $n)))
      (if (call $fd_write (i32.const 1) (global.get $vector) (i32.const 1) (global.get $n)) (then unreachable))
      (br $more))))
