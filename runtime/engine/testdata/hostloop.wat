;; hostloop: calls a host function endlessly, and does next to nothing itself.
(module
  (import "test" "note" (func $note (param i32)))
  (memory (export "memory") 1)
  (func (export "spin") (param i64) (result i64) (loop $l (call $note (i32.const 0)) (br $l)) (unreachable)))
