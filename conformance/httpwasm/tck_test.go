package httpwasm

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/http-wasm/http-wasm-host-go/tck"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// vespo is the path of the command. TestMain builds it.
var vespo string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{&vespo: program.Vespo}))
}

func TestConformance(t *testing.T) {
	guest := filepath.Join(t.TempDir(), "tck.wasm")
	require.NoError(t, os.WriteFile(guest, tck.GuestWASM, 0o600))
	backend := tck.StartBackend("")
	t.Cleanup(backend.Close)
	s := program.Serve(t, vespo)
	s.Vespo("add", "/", "--upstream", backend.URL, "--use", guest)

	t.Run("HTTP/1.1", func(t *testing.T) { run(t, s.URL, func(p *http.Protocols) { p.SetHTTP1(true) }) })
	t.Run("h2c", func(t *testing.T) { run(t, s.URL, func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }) })
}

// run runs the kit with a client for one protocol.
func run(t *testing.T, url string, set func(*http.Protocols)) {
	var protocols http.Protocols
	set(&protocols)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	tck.Run(t, &http.Client{Transport: transport, Timeout: program.HangTimeout}, url)
}
