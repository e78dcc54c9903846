;; A module that fills the shim's table has code besides.
(component
  (import "wasi:x/y@0.2.0" (instance $y (export "g" (func))))
  (core func $g (canon lower (func $y "g")))
  (core module $shim (type (func)) (table (export "t") 1 1 funcref) (func (export "0") i32.const 0 call_indirect (type 0)))
  (core instance $s (instantiate $shim))
  (core module $fix (import "s" "t" (table 1 1 funcref)) (import "a" "g" (func)) (elem (i32.const 0) func 0) (func $c (table.set 0 (i32.const 0) (ref.null func))) (start $c))
  (core instance (instantiate $fix (with "s" (instance $s)) (with "a" (instance (export "g" (func $g))))))
  (core module $m (import "a" "g" (func)) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "a" (instance (export "g" (func $s "0"))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
