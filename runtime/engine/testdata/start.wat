;; start: a start function that writes to memory; it runs only before the snapshot is taken.
(module
  (memory (export "memory") 1)
  (func $start (i32.store (i32.const 0) (i32.const 42)))
  (start $start)
  (func (export "get") (param i64) (result i64) (i64.load32_u (i32.const 0))))
