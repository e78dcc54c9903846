;; Exports functions, but no handler.
(component
  (core module $m (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0) (func (export "h") (param i32 i32) (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $mem))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "h" (core func $h))
  (func $f (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $h)))
  (export "add" (func $f))
)
