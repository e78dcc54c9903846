;; The guest imports a function that another component exports.
(component
  (component $a
    (core module $m (func (export "g")))
    (core instance $i (instantiate $m))
    (func $g (canon lift (core func $i "g")))
    (export "g" (func $g)))
  (instance $a (instantiate $a))
  (core func $g (canon lower (func $a "g")))
  (core module $m (import "a" "g" (func)) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "a" (instance (export "g" (func $g))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
