;; Refers to a passive data segment, so its data cannot be separated from its code.
(module
  (memory (export "memory") 1)
  (func (export "peek") (param i32) (result i32)
    (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 4))
    (i32.load8_u (local.get 0)))
  (data (i32.const 16) "data")
  (data "more"))
