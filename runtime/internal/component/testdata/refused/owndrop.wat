;; The guest drops handles of a resource of its own.
(component
  (type $r (resource (rep i32)))
  (core func $drop (canon resource.drop $r))
  (core module $m (import "x" "drop" (func (param i32))) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "x" (instance (export "drop" (func $drop))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
