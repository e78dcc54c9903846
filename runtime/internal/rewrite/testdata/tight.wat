;; Minimal loops and calls, for the benchmarks.
(module
  (memory 16)
  (table 1 funcref)
  (elem (i32.const 0) $inc)
  (type $i (func (param i32) (result i32)))
  (func (export "store") (param $n i32) (local $i i32)
    (loop $l
      (i32.store8 (local.get $i) (i32.const 1))
      (local.set $i (i32.and (i32.add (local.get $i) (i32.const 7)) (i32.const 0xfffff)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "add") (param $n i32) (local $x i64)
    (loop $l
      (local.set $x (i64.add (i64.mul (local.get $x) (i64.const 6364136223846793005)) (i64.extend_i32_u (local.get $n))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func $fib (export "fib") (param $n i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2)) (then (local.get $n))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1))) (call $fib (i32.sub (local.get $n) (i32.const 2)))))))
  (func $inc (type $i) (i32.add (local.get 0) (i32.const 1)))
  (func (export "indirect") (param $n i32) (local $x i32)
    (loop $l
      (local.set $x (call_indirect (type $i) (local.get $x) (i32.const 0)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
)
