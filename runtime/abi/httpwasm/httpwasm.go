package httpwasm

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/extension"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// ModuleName is the name that guests import from.
const ModuleName = "http_handler"

// Indexes of the entries that the engine calls.
const (
	entryRequest = iota
	entryResponse
)

// importConfig is the function by which guests read their settings.
const importConfig = "get_config"

const (
	exportRequest  = "handle_request"
	exportResponse = "handle_response"
)

// Config limits the memory that the host uses for one exchange. Zero values stand for the defaults.
type Config struct {
	// BufferBytes bounds a buffered request body and a buffered response body; default 10 MiB each.
	BufferBytes int64
}

// ABI implements abi.Server.
type ABI struct{ cfg Config }

// New returns the ABI with these limits.
func New(cfg Config) *ABI {
	if cfg.BufferBytes == 0 {
		cfg.BufferBytes = 10 << 20
	}
	return &ABI{cfg}
}

// Traits implements abi.ABI.
func (*ABI) Traits() abi.Traits {
	return abi.Traits{
		Name:     "http-wasm",
		Export:   exportRequest,
		Guest:    "an http-wasm handler",
		Build:    "and -buildmode=c-shared",
		Forwards: true,
	}
}

// HostModules implements abi.ABI.
func (*ABI) HostModules() []engine.HostModule {
	return []engine.HostModule{HostModule(), wasip1.HostModule(), extension.HostModule()}
}

// Match implements abi.ABI.
func (*ABI) Match(info *engine.Info) (bool, error) {
	request, ok := abi.FuncExport(info, exportRequest)
	if !ok {
		if abi.Imports(info, ModuleName) {
			return false, fmt.Errorf("imports from %s but does not export the function %s", ModuleName, exportRequest)
		}
		return false, nil
	}
	if !abi.HasSignature(request, nil, []engine.ValueType{engine.I64}) {
		return false, fmt.Errorf("exports %s with a wrong type: http-wasm has it as () -> (i64)", exportRequest)
	}
	if response, ok := abi.FuncExport(info, exportResponse); ok &&
		!abi.HasSignature(response, []engine.ValueType{engine.I32, engine.I32}, nil) {
		return false, fmt.Errorf("exports %s with a wrong type: http-wasm has it as (i32, i32) -> ()", exportResponse)
	}
	return true, nil
}

// ReadsText implements abi.TextReader.
func (*ABI) ReadsText(info *engine.Info) bool {
	return slices.ContainsFunc(info.Imports, func(im rewrite.Import) bool { return im.Module == ModuleName && im.Name == importConfig })
}

// Functions implements abi.ABI.
func (*ABI) Functions(info *engine.Info) (init, entries []string) {
	return abi.WASIInit(info), []string{entryRequest: exportRequest, entryResponse: exportResponse}
}

// shared holds the features enabled during a module's initialisation. It applies to all of its instances.
type shared struct {
	features atomic.Uint32
}

// MarshalBinary implements engine.HostState.
func (s *shared) MarshalBinary() ([]byte, error) {
	return binary.LittleEndian.AppendUint32(nil, s.features.Load()), nil
}

// UnmarshalBinary implements engine.HostState.
func (s *shared) UnmarshalBinary(state []byte) error {
	if len(state) != 4 {
		return fmt.Errorf("the features of a guest have %d bytes instead of 4", len(state))
	}
	s.features.Store(binary.LittleEndian.Uint32(state))
	return nil
}

// Bind implements abi.ABI.
func (a *ABI) Bind(in *engine.Instance, env *abi.Environment) {
	m := in.Module()
	if m.Shared == nil {
		m.Shared = new(shared)
	}
	c := &call{in: in, cfg: a.cfg, shared: m.Shared.(*shared), levels: env.Enabled, settings: env.Settings}
	c.stdout.Reset(env.Log, abi.LevelInfo)
	c.stderr.Reset(env.Log, abi.LevelError)
	c.system.Use(env)
	c.system.Begin(nil, &c.stdout, &c.stderr)
	c.extension.Use(env)
	in.Exchange, in.System, in.Extension, in.OnPause = c, &c.system, &c.extension, c.flush
	in.OnCapture = c.system.End // an idle instance keeps no files, and no state of a mount
}

// Serve implements abi.Server.
func (a *ABI) Serve(in *engine.Instance, x *abi.Exchange) engine.Outcome {
	c := in.Exchange.(*call)
	c.begin(x)
	defer c.end()
	out := c.serve()
	c.stdout.Flush()
	c.stderr.Flush()
	return c.stdout.Panicked(out)
}
