;; within: a guest whose entries call the host function "within", which calls the entry "nested" and returns its result plus 1.
;; The parameter of nested chooses what it does: 0 returns 41, 1 traps, 2 grows the memory and returns 41, 3 loops,
;; 4 recurses without end, 5 calls the host function "within", 6 calls the host function "allowed", 7 runs out of memory.
(module
  (import "test" "within" (func $within (param i32) (result i32)))
  (import "allowed" "allowed" (func $allowed (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (func $recurse (param i32) (result i32)
    (i32.add (call $recurse (local.get 0)) (i32.const 1)))
  (func (export "outer") (param i32) (result i32)
    (i32.add (call $within (local.get 0)) (memory.size)))
  (func (export "nested") (param i32) (result i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (unreachable)))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (drop (memory.grow (i32.const 1)))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (loop (br 0))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (return (call $recurse (i32.const 0)))))
    (if (i32.eq (local.get 0) (i32.const 5)) (then (return (call $within (i32.const 0)))))
    (if (i32.eq (local.get 0) (i32.const 6)) (then (return (call $allowed (i32.const 0)))))
    (if (i32.eq (local.get 0) (i32.const 7)) (then (drop (memory.grow (i32.const 100))) (unreachable)))
    (i32.const 41)))
