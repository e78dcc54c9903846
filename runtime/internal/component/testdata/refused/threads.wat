;; A built-in of threads.
(component
  (core func $index (canon thread.index))
  (core module $m
    (import "c" "index" (func (result i32)))
    (memory (export "memory") 1)
    (func (export "h") (result i32) i32.const 0)
    (func (export "cb") (param i32 i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "c" (instance (export "index" (func $index))))))
  (func $f async (result u32) (canon lift (core func $i "h") async (callback (core func $i "cb"))))
  (instance $x (export "handle" (func $f)))
  (export "wasi:http/handler@0.3.0" (instance $x))
)
