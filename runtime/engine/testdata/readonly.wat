;; readonly has no instruction that changes memory: only the host function does.
(module
  (import "test" "note" (func $note (param i32)))
  (memory (export "memory") 3)
  (data (i32.const 8) "golden")
  (data (i32.const 70000) "behind")
  (func (export "note") (param $n i32) (call $note (local.get $n))))
