;; A module like a shim, whose function changes its parameter: it is part of the program.
(component
  (core module $shim (type (func (param i32))) (table (export "t") 1 1 funcref)
    (func (export "0") (param i32) local.get 0 i32.const 1 i32.add i32.const 0 call_indirect (type 0)))
  (core instance $s (instantiate $shim))
  (core module $m (import "a" "g" (func (param i32))) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "a" (instance (export "g" (func $s "0"))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
