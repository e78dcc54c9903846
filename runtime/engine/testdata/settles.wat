;; settles counts the calls of vespo_snapshot. After "refuse" it traps in it.
(module
  (memory (export "memory") 1)
  (global $calls (mut i32) (i32.const 0))
  (func (export "_initialize") (i32.store8 (i32.const 0) (i32.const 1)))
  (func (export "refuse") (i32.store8 (i32.const 0) (i32.const 2)))
  (func (export "vespo_snapshot")
    (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 2)) (then unreachable))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
  (func (export "get") (param i32) (result i32) (global.get $calls)))
