;; Reads and writes single bytes of its memory. Tests replace its data section.
(module
  (memory (export "memory") 1)
  (table 1 funcref)
  (elem (i32.const 0) $peek)
  (func $peek (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "poke") (param i32) (result i32)
    (i32.store8 (local.get 0) (i32.const 255)) (i32.const 0))
  (func (export "pages") (param i32) (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (data (i32.const 16) "data"))
