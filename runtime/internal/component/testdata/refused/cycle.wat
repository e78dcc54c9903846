;; A shim that is filled with its own trampoline.
(component
  (core module $shim (type (func)) (table (export "t") 1 1 funcref) (func (export "0") i32.const 0 call_indirect (type 0)))
  (core instance $s (instantiate $shim))
  (core module $fix (import "s" "t" (table 1 1 funcref)) (import "s" "0" (func)) (elem (i32.const 0) func 0))
  (core instance (instantiate $fix (with "s" (instance $s))))
  (core module $m (import "a" "g" (func)) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "a" (instance (export "g" (func $s "0"))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
