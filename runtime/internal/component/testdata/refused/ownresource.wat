;; The guest makes handles of a resource of its own.
(component
  (type $r (resource (rep i32)))
  (core func $new (canon resource.new $r))
  (core module $m (import "x" "new" (func (param i32) (result i32))) (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m (with "x" (instance (export "new" (func $new))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
