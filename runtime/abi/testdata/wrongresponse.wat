;; wrongresponse: a handler whose handle_response has a wrong type.
(module
  (memory (export "memory") 1)
  (func (export "handle_request") (result i64) (i64.const 0))
  (func (export "handle_response") (param i32)))
