;; badinit: initialisations that fail, one export each.
(module
  (memory (export "memory") 1)
  (func (export "trap") unreachable)
  (func (export "spin") (loop $l (br $l)))
  (func (export "hog") (loop $l (br_if $l (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable)
  (func (export "recurse") (call 3)))
