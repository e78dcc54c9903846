;; both: a handler of an older toolchain, whose initialisation function is _start.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "_start"))
  (func (export "handle_request") (result i64) (i64.const 0)))
