;; A small module calls two names of one function of the guest when it starts. Functions and resources of an interface have other
;; names in the wiring. The handler is lifted through a nested component, from a module that is not the first one.
(component
  (type $t (instance
    (export "r" (type $r (sub resource)))
    (export "s" (type (eq $r)))
    (type $own (own $r))
    (export "make" (func (result $own)))))
  (import "wasi:x/y@0.3.0-rc-2026-03-15" (instance $y (type $t)))
  (import "plain" (func $plain))
  (alias export $y "s" (type $s))
  (core func $make (canon lower (func $y "make")))
  (core func $drop (canon resource.drop $s))
  (core func $plain' (canon lower (func $plain)))
  (core module $start (import "a" "b" (func $f)) (func $s call $f call $f) (start $s))
  (core module $m
    (import "a" "1" (func (result i32)))
    (import "a" "2" (func (param i32)))
    (import "b" "" (func))
    (func $i (export "init"))
    (func (export "vespo_snapshot"))
    (memory (export "mem") 1)
    (func (export "h") (result i32) i32.const 0))
  (core instance $i (instantiate $m
    (with "a" (instance (export "1" (func $make)) (export "2" (func $drop))))
    (with "b" (instance (export "" (func $plain'))))))
  (core instance (instantiate $start (with "a" (instance (export "b" (func $i "init"))))))
  (func $f (result u32) (canon lift (core func $i "h")))
  (component $c
    (import "f" (func $f (result u32)))
    (export "handle" (func $f)))
  (instance $e (instantiate $c (with "f" (func $f))))
  (export "wasi:http/incoming-handler@0.2.3" (instance $e))
  (export "extra" (func $f))
)
