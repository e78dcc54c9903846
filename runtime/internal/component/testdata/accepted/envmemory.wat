;; The program imports its memory, as dynamic libraries do.
(component
  (core module $env (memory (export "memory") 1))
  (core module $m (import "env" "memory" (memory 1)) (func (export "h") (result i32) i32.const 0))
  (core instance $e0 (instantiate $env))
  (core instance $i (instantiate $m (with "env" (instance $e0))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
