;; A handler of WASI 0.2 with one import that needs no memory, one that does, a resource.drop and preview 1. Its WIT is http.wit.
(module
  (import "local:app/types@0.2.5" "[constructor]fields" (func $fields (result i32)))
  (import "local:app/types@0.2.5" "[method]fields.text" (func $text (param i32 i32)))
  (import "local:app/types@0.2.5" "[resource-drop]fields" (func $drop (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $again (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global $ready (mut i32) (i32.const 0))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
  (func (export "_initialize") i32.const 1 global.set $ready)
  (func (export "wasi:http/incoming-handler@0.2.5#handle") (param i32) (result i32)
    (local $f i32)
    call $fields
    local.tee $f
    i32.const 16
    call $text
    local.get $f
    call $drop
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))
    (drop (call $again (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)))
    i32.const 32)
  (func (export "cabi_post_wasi:http/incoming-handler@0.2.5#handle") (param i32))
)
