package wasm_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// withMinimum returns a handler that declares a minimum of 257 pages, as programs with a stack of 16 MiB do.
func withMinimum(t *testing.T) []byte {
	onePage := []byte{5, 3, 1, 0, 1}
	m := layerModule(answerCode, nothingCode)
	require.Equal(t, 1, bytes.Count(m, onePage))
	return bytes.Replace(m, onePage, []byte{5, 4, 1, 0, 0x81, 2}, 1)
}

// violationsOf returns the violations of a refused module.
func violationsOf(t *testing.T, err error) []string {
	t.Helper()
	var told *problem.Problem
	require.ErrorAs(t, err, &told)
	require.Equal(t, problem.ModuleInvalid, told.Kind())
	return problem.Texts(told.Violations)
}

func TestMinimumOfMemory(t *testing.T) {
	large := withMinimum(t)
	const (
		server = "module declares a minimum of 16448KiB of linear memory, and this server has 16MiB for each request: " +
			"start the server with --memory 16448KiB or more, or build the module with a smaller stack"
		service = "memory is 1MiB, and the module declares a minimum of 16448KiB of linear memory: " +
			"set it to 16448KiB or more, or build the module with a smaller stack"
	)
	s := newServer(t, wasm.Config{Slots: 2})
	require.Equal(t, []string{server}, violationsOf(t, s.refused("/x", large)))
	require.Equal(t, []string{server, service}, violationsOf(t, s.refused("/x", large, servicetest.WithMemory(1<<20))))
	err := s.refused("/x", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, large))
	require.ErrorContains(t, err, "use has module 1, which declares a minimum of 16448KiB")
	_, err = s.kind.Prepare(t.Context(), module("/x", large)) // as at the start, from the catalogue of a server with more memory
	require.Equal(t, []string{server}, violationsOf(t, err))

	wide := newServer(t, wasm.Config{Slots: 2, SlotBytes: 16448 << 10})
	require.Equal(t, []string{service}, violationsOf(t, wide.refused("/x", large, servicetest.WithMemory(1<<20))))
	wide.add("/x", large, servicetest.WithMemory(16448<<10))
	wide.add("/y", large)
	require.Equal(t, 200, wide.get("/y").StatusCode, "the advice is enough")
}

func TestMissingImportsAndExportsAreNamedTogether(t *testing.T) {
	name := func(text string) []byte { return append([]byte{byte(len(text))}, text...) }
	imported := func(module, function string) []byte { return append(append(name(module), name(function)...), 0, 0) }
	m := []byte("\x00asm\x01\x00\x00\x00")
	for _, section := range [][]byte{
		{1, 1, 0x60, 0, 0}, // type () -> ()
		append([]byte{2, 3}, bytes.Join([][]byte{imported("env", "second"), imported("http_handler", "frob"), imported("env", "first")}, nil)...),
		{5, 1, 0, 0x81, 2},
	} {
		m = append(append(m, section[0], byte(len(section)-1)), section[1:]...)
	}
	s := newServer(t, wasm.Config{Slots: 2})
	violations := violationsOf(t, s.refused("/x", m))
	require.Len(t, violations, 4)
	require.Contains(t, violations[0], "does not export the function handle_request")
	require.Contains(t, violations[1], `module imports env.first and env.second: the host has no module "env"`)
	require.Equal(t, `module imports http_handler.frob: the host's module "http_handler" has no such function`, violations[2])
	require.Contains(t, violations[3], "module declares a minimum of 16448KiB")
}
