;; mute: a command that cannot print.
(module
  (memory (export "memory") 1)
  (func (export "_start")))
