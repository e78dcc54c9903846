;; The program calls a library that has a memory of its own.
(component
  (core module $lib (memory 1) (func (export "f") (result i32) i32.const 0 i32.load))
  (core module $m (import "lib" "f" (func $f (result i32))) (memory (export "memory") 1) (func (export "h") (result i32) call $f))
  (core instance $l (instantiate $lib))
  (core instance $i (instantiate $m (with "lib" (instance $l))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
