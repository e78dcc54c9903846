;; Two functions have different allocators.
(component
  (core module $m (memory (export "memory") 1)
    (func (export "r1") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "r2") (param i32 i32 i32 i32) (result i32) i32.const 0)
    (func (export "h") (param i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $mem))
  (func $f (param "a" string) (result u32) (canon lift (core func $i "h") (memory $mem) (realloc (core func $i "r1"))))
  (func $g (param "a" string) (result u32) (canon lift (core func $i "h") (memory $mem) (realloc (core func $i "r2"))))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
  (export "g" (func $g))
)
