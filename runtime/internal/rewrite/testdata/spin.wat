;; Every way to spin that the format knows. Each export never ends by itself, or not before the stars do.
(module
  (type $v (func))
  (memory 1 4)
  (table 4 funcref)
  (elem (i32.const 0) $tail_indirect $fork_indirect)
  (global $n (mut i32) (i32.const 0))

  (func (export "loop") (loop $l (br $l)))
  (func (export "loop_store") (local $i i32)
    (loop $l
      (i32.store8 (i32.and (local.get $i) (i32.const 0xffff)) (i32.const 1))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $l)))
  (func (export "loop_conditional") (loop $l (br_if $l (i32.const 1))))
  (func (export "loop_results") (result i32)
    (loop $l (result i32) (br $l)))
  (func (export "loop_results_conditional") (result i64) (local $i i64)
    (loop $l (result i64)
      (local.set $i (i64.add (local.get $i) (i64.const 1)))
      (br_if $l (i64.ne (local.get $i) (i64.const 0)))
      (local.get $i)))
  (func (export "loop_params") (result i32)
    (i32.const 7) (i64.const 9)
    (loop $l (param i32 i64) (result i32)
      (br $l)))
  (func (export "loop_table") (local $i i32)
    (loop $l
      (block $a (block $b
        (local.set $i (i32.and (i32.add (local.get $i) (i32.const 1)) (i32.const 3)))
        (br_table $a $b $l $l (local.get $i)))
        (br $l))
      (br $l)))
  (func (export "loop_nested_blocks")
    (loop $l (block (block (block (if (i32.const 1) (then (br $l)))))) (br $l)))
  (func (export "loop_from_if") (local $i i32)
    (loop $l
      (if (i32.eqz (local.get $i)) (then (br $l)) (else (br $l)))))
  (func (export "loops_nested") (local $i i32)
    (loop $outer
      (local.set $i (i32.const 3))
      (loop $inner
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (br_if $inner (local.get $i)))
      (br $outer)))
  (func (export "loop_to_outer")
    (loop $outer (loop $inner (br $outer))))
  (func (export "loop_fall_through_blocks") (local $pc i32)
    ;; a dispatch loop that only ever jumps backward
    (loop $l
      (block $c2 (block $c1 (block $c0
        (br_table $c0 $c1 $c2 (local.get $pc)))
        (local.set $pc (i32.const 1)) (br $l))
        (local.set $pc (i32.const 2)) (br $l))
      (local.set $pc (i32.const 0)) (br $l)))

  ;; no loop at all
  (func $fork (param $depth i32)
    (if (i32.eqz (local.get $depth)) (then (return)))
    (call $fork (i32.sub (local.get $depth) (i32.const 1)))
    (call $fork (i32.sub (local.get $depth) (i32.const 1))))
  (func (export "tree") (call $fork (i32.const 400)))
  (func $fork_indirect (type $v)
    (global.set $n (i32.add (global.get $n) (i32.const 1)))
    (if (i32.gt_u (global.get $n) (i32.const 300)) (then (global.set $n (i32.sub (global.get $n) (i32.const 1))) (return)))
    (call_indirect (type $v) (i32.const 1))
    (call_indirect (type $v) (i32.const 1))
    (global.set $n (i32.sub (global.get $n) (i32.const 1))))
  (func (export "tree_indirect") (call $fork_indirect))
  (func $tail (export "tail") (return_call $tail))
  (func $tail_a (export "tail_mutual") (return_call $tail_b))
  (func $tail_b (return_call $tail_a))
  (func $tail_indirect (type $v) (return_call_indirect (type $v) (i32.const 0)))
  (func (export "tail_indirect") (return_call $tail_indirect))
  (func $tail_args (param i64 i64 f64 i32 f32) (return_call $tail_args (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))
  (func (export "tail_args") (call $tail_args (i64.const 1) (i64.const 2) (f64.const 3) (i32.const 4) (f32.const 5)))

  ;; bulk instructions
  (func (export "fill") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l)))
  (func (export "copy") (loop $l (memory.copy (i32.const 0) (i32.const 1) (i32.const 65535)) (br $l)))
  (func (export "table") (loop $l (table.fill 0 (i32.const 0) (ref.null func) (i32.const 4)) (br $l)))
  (func (export "grow") (loop $l (drop (memory.grow (i32.const 0))) (br $l)))
)
