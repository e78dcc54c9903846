;; Exports the handler that it imports.
(component
  (import "wasi:http/incoming-handler@0.2.3" (instance $i (export "handle" (func))))
  (export "wasi:http/incoming-handler@0.2.3" (instance $i))
)
