package wasm

import (
	"context"
	"errors"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// validate validates a spec whose module must implement one of the ABIs. It returns all violations at once: of the
// configuration, of the module's exports and imports, and of the memory that it declares. own reports whether the
// settings are for this module alone.
func validate[A abi.ABI](k *Kind, s services.Spec, abis []A, own bool) error {
	doc, err := Decode(s.Manifest)
	if err != nil {
		return invalidModule([]problem.Violation{{Text: err.Error()}}, nil)
	}
	violations := k.check(doc)
	module, speaks, err := detect(k, moduleOf(s), abis)
	if err == nil && doc.CGIArgs && !speaks.Traits().QueryArgs {
		violations.Add(fieldCGIArgs, "is for CGI commands, and the module speaks %s", speaks.Traits().Name)
	}
	if err == nil && doc.Warm != "" && speaks.Traits().Ends {
		violations.Add(fieldWarm, "is given, and the module is %s: it ends with its request, so it cannot be warmed up", speaks.Traits().Guest)
	}
	if err == nil && own && doc.Config.Text != "" {
		violations = append(violations, checkReader(module.Info(), speaks)...)
	}
	if err != nil {
		var invalid *engine.ModuleError
		if !errors.As(err, &invalid) {
			return err
		}
		violations = append(violations, inModule(invalid.Violations)...)
	}
	if module != nil {
		violations = append(violations, inModule(k.engine.CheckImports(module.Info()))...)
		violations = append(violations, k.checkMinimum(module.Info(), doc)...)
	}
	return invalidModule(violations, nil)
}

// ValidateFields implements services.FieldsChecker.
func (k *Kind) ValidateFields(m registry.Manifest) error {
	doc, err := Decode(m)
	if err != nil {
		return problem.New(problem.BadRequest, err.Error())
	}
	return problem.Invalid(problem.BadRequest, "the service is invalid; nothing was changed", k.check(doc))
}

// ValidateFields implements services.FieldsChecker.
func (f *Functions) ValidateFields(m registry.Manifest) error { return f.kind.ValidateFields(m) }

// checkReader returns a violation if the module cannot read settings that are one text, which would have no effect.
func checkReader(info *engine.Info, speaks abi.ABI) (violations problem.Violations) {
	reader, ok := speaks.(abi.TextReader)
	switch {
	case !ok:
		violations.Add(fieldConfig, "is one text, and a module of %s reads settings by name: give NAME=VALUE", speaks.Traits().Name)
	case !reader.ReadsText(info):
		violations.Add(fieldConfig, "is one text, and the module never reads it: it does not import get_config")
	}
	return violations
}

// settingsOf returns the settings as a guest sees them.
func settingsOf(s schema.Settings) abi.Settings {
	if s.Text != "" {
		return abi.TextSettings(s.Text)
	}
	return abi.NewSettings(s.ByName)
}

// checkMinimum returns the violations of the memory that a module declares as its minimum. A compiler includes the stack
// in it.
func (k *Kind) checkMinimum(info *engine.Info, doc Document) (violations problem.Violations) {
	if info.Memory == nil {
		return nil // refused by the engine
	}
	const stack = "build the module with a smaller stack"
	minimum := int64(info.Memory.MinPages) * engine.PageBytes
	needed := schema.SizeText(minimum)
	if minimum > k.cfg.SlotBytes {
		violations.Add(schema.FieldModule, "declares a minimum of %s of linear memory, and this server has %s for each request: "+
			"start the server with --memory %s or more, or %s", needed, schema.SizeText(k.cfg.SlotBytes), needed, stack)
	}
	if doc.Memory >= engine.PageBytes && doc.Memory < minimum {
		violations.Add(fieldMemory, "is %s, and the module declares a minimum of %s of linear memory: set it to %s or more, or %s",
			schema.SizeText(doc.Memory), needed, needed, stack)
	}
	return violations
}

// moduleOf returns the module of a spec.
func moduleOf(s services.Spec) []byte { return s.Blob(schema.FieldModule).Content }

// detect decodes a module and returns the first of the ABIs that it implements. A module that implements none is returned
// too, with the error.
func detect[A abi.ABI](k *Kind, bin []byte, abis []A) (module *engine.Decoded, speaks A, err error) {
	if module, err = k.engine.Decode(bin); err != nil {
		return nil, speaks, err
	}
	speaks, err = abi.Detect(module.Info(), abis)
	return module, speaks, err
}

// detectIn is detect for the module of a spec. If that was served before the start of the server, and this program has read it
// before, it is not read again.
func detectIn[A abi.ABI](ctx context.Context, k *Kind, s services.Spec, abis []A) (module *engine.Decoded, speaks A, err error) {
	blob := s.Blob(schema.FieldModule)
	if s.Served {
		read := func() ([]byte, error) { return k.cfg.Blob(context.Background(), blob.Digest) }
		if sum, ok := sumOf(blob.Digest); ok {
			module = k.engine.Outlined(sum, read)
		}
	}
	if module != nil {
		speaks, err = abi.Detect(module.Info(), abis)
		return module, speaks, err
	}
	content := blob.Content
	if content == nil {
		if content, err = k.cfg.Blob(ctx, blob.Digest); err != nil {
			return nil, speaks, err
		}
	}
	return detect(k, content, abis)
}

// inModule returns violations of a module.
func inModule(texts []string) (violations problem.Violations) {
	for _, text := range texts {
		violations.Add(schema.FieldModule, "%s", text)
	}
	return violations
}

// invalidModule returns the answer to a deploy of a module that cannot be served, or nil if there are no violations.
func invalidModule(violations []problem.Violation, cause error) error {
	if len(violations) == 0 {
		return nil
	}
	p := problem.New(problem.ModuleInvalid, "the module cannot be served").WithCause(cause)
	p.Violations = violations
	return p
}
