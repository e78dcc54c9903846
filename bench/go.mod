module github.com/vespo-dev/vespo/bench

go 1.26.0

require (
	github.com/http-wasm/http-wasm-host-go v0.7.0
	github.com/stretchr/testify v1.12.1
	github.com/tetratelabs/wazero v1.12.0
	github.com/valyala/fasthttp v1.78.0
	github.com/vespo-dev/vespo v0.0.0-00010101000000-000000000000
	github.com/vespo-dev/vespo/guest-sdk v0.0.0-00010101000000-000000000000
	github.com/yuin/goldmark v1.8.7
	golang.org/x/sys v0.49.0
)

require (
	github.com/gofrs/flock v0.13.1 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.1 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	github.com/vespo-dev/vespo => ../
	github.com/vespo-dev/vespo/guest-sdk => ../guest-sdk
)
