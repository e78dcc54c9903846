;; The data of a library is written after the start function of another one has read the memory.
(component
  (core module $env (memory (export "memory") 1))
  (core module $first (import "env" "memory" (memory 1)) (global $g (mut i32) (i32.const 0))
    (func $s i32.const 0 i32.load global.set $g) (start $s) (func (export "h") (result i32) global.get $g))
  (core module $second (import "env" "memory" (memory 1)) (data (i32.const 0) "x"))
  (core instance $e0 (instantiate $env))
  (core instance $i (instantiate $first (with "env" (instance $e0))))
  (core instance (instantiate $second (with "env" (instance $e0))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
