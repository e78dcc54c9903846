module github.com/vespo-dev/vespo/bench/wasmtime

go 1.26.0

require github.com/bytecodealliance/wasmtime-go/v37 v37.0.0
