;; The canonical options name the memory of another module.
(component
  (core module $m (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0) (func (export "h") (param i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $mem))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "h" (core func $h))
  (core module $o (func (export "h") (param i32 i32) (result i32) i32.const 0))
  (core instance $j (instantiate $o))
  (func $f (param "a" string) (result u32) (canon lift (core func $j "h") (memory $mem) (realloc $realloc)))
  (instance $e (export "handle" (func $f)))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
)
