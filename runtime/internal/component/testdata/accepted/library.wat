;; A library shares the memory of the program.
(component
  (core module $lib (import "env" "memory" (memory 1)) (func (export "f")))
  (core module $m (memory (export "memory") 1) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (core instance (instantiate $lib (with "env" (instance $i))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
