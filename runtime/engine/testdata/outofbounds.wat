;; outofbounds: a data segment outside of the memory; instantiation fails after the memory was allocated.
(module (memory (export "memory") 1) (data (i32.const 65536) "x"))
