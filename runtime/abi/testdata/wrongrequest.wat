;; wrongrequest: a handler whose handle_request has a wrong type.
(module
  (memory (export "memory") 1)
  (func (export "handle_request") (result i32) (i32.const 0)))
