;; noexport: imports from http_handler, but exports no handler.
(module
  (import "http_handler" "set_status_code" (func (param i32)))
  (memory (export "memory") 1))
