;; A command.
(component
  (core module $m (func (export "run") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (func $f (result (result)) (canon lift (core func $i "run")))
  (instance $e (export "run" (func $f)))
  (export "wasi:cli/run@0.2.3" (instance $e))
)
