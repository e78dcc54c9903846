;; A shim whose table is never filled.
(component
  (core module $shim (type (func)) (table (export "t") 1 1 funcref) (func (export "0") i32.const 0 call_indirect (type 0)))
  (core instance $s (instantiate $shim))
  (core module $m (import "a" "g" (func)) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "a" (instance (export "g" (func $s "0"))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
