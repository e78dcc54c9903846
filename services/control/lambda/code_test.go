package lambda_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

const functions = "/2015-03-31/functions"

// packed returns an archive of files by name, none of them executable.
func packed(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		require.NoError(t, err)
		_, err = f.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func managing(c *lambda.Config) { c.Manage = true }

// send makes a request with body as JSON and requires a status.
func (a *api) send(method, path string, body any, status int) string {
	a.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(a.t, err)
	resp, answer := a.do(method, path, string(text))
	require.Equal(a.t, status, resp.StatusCode, answer)
	return answer
}

// status makes a request with body as JSON and returns the status.
func (a *api) status(method, path string, body any) int {
	a.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(a.t, err)
	resp, _ := a.do(method, path, string(text))
	return resp.StatusCode
}

func (a *api) document(key routekey.Key) function.Document {
	a.t.Helper()
	e, err := a.Deployer.Inspect(key)
	require.NoError(a.t, err)
	d, err := function.Decode(e.Service.Current.Manifest)
	require.NoError(a.t, err)
	return d
}

type createRequest struct {
	FunctionName string
	Code         struct{ ZipFile []byte }
	MemorySize   int
	Description  string
	Environment  struct{ Variables map[string]string }
}

func program(name string, archive []byte) createRequest {
	r := createRequest{FunctionName: name, MemorySize: 256, Description: "first"}
	r.Code.ZipFile = archive
	return r
}

// TestUpdateCodeKeeps checks that new code for a program changes no other setting.
func TestUpdateCodeKeeps(t *testing.T) {
	a := newAPI(t, managing)
	self, err := os.Executable()
	require.NoError(t, err)
	want := function.Document{
		Exec:      self,
		Args:      []string{"x"},
		Processes: 3,
		Loops:     5,
		Timeout:   7e9,
		Config:    map[string]string{"A": "b"},
	}
	a.Deploy(servicetest.Spec(function.KindName, "/prog", want))
	a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": packed(t, map[string]string{"bootstrap": "#!/bin/sh\n"})}, 200)
	d := a.document(routekey.MustParse("/prog"))
	require.Len(t, d.Package, 64)
	want.Exec, want.Package = "", d.Package
	require.Equal(t, want, d)
	a.send("PUT", functions+"/prog/configuration", map[string]any{"MemorySize": 512, "Handler": "app.handler"}, 200)
	want.MemorySize, want.Handler = 512, "app.handler"
	require.Equal(t, want, a.document(routekey.MustParse("/prog")))
}

// TestProgramKeepsTheVariablesOfAModule replaces the code of services of another kind. Those with a text have no variables.
func TestProgramKeepsTheVariablesOfAModule(t *testing.T) {
	a := newAPI(t, managing)
	variables := map[string]string{"A": "b"}
	for text, want := range map[string]map[string]string{"": variables, "SecRuleEngine On": nil, "\xff\x00": nil} {
		config := schema.Settings{Text: text}
		if text == "" {
			config.ByName = variables
		}
		spec := services.Spec{Kind: wasm.KindName, Manifest: wasm.Document{Timeout: 7e9, Config: config}.Encode()}
		require.NoError(t, a.handler.UseProgram(packed(t, map[string]string{"bootstrap": "#!/bin/sh\n"}), &spec))
		require.Equal(t, function.KindName, spec.Kind)
		d, err := function.Decode(spec.Manifest)
		require.NoError(t, err)
		require.Equal(t, want, d.Config, "%q", text)
		require.EqualValues(t, 7e9, d.Timeout)
	}
}

// TestArchivesOfWindows checks archives with backslashes between directories and without permissions.
func TestArchivesOfWindows(t *testing.T) {
	a := newAPI(t, managing)
	a.send("POST", functions, program("win", packed(t, map[string]string{"bootstrap": "#!/bin/sh\n", `lib\sub\a.txt`: "a", `empty\`: ""})), 201)
	dir := filepath.Join(a.dir, "code", a.document(routekey.MustParse("/win")).Package)
	info, err := os.Stat(filepath.Join(dir, "bootstrap"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode().Perm())
	require.FileExists(t, filepath.Join(dir, "lib", "sub", "a.txt"))
	require.DirExists(t, filepath.Join(dir, "empty"))
	for _, outside := range []string{`..\x`, `a\..\..\x`} {
		answer := a.send("POST", functions, program("bad", packed(t, map[string]string{"bootstrap": "", outside: ""})), 400)
		require.Contains(t, answer, "no file below its root")
	}
	answer := a.send("POST", functions, program("crlf", packed(t, map[string]string{"bootstrap": "#!/bin/sh\r\nexit\r\n"})), 400)
	require.Contains(t, answer, "CR LF")
	resp, answer := a.do("PUT", functions+"/win/configuration", "\ufeff{\"MemorySize\": 333}")
	require.Equal(t, 200, resp.StatusCode, answer)
	require.Contains(t, answer, `"MemorySize":333`, "a byte order mark is no part of the JSON")
}

// TestChangesHappenOrNot checks that a failed change changes nothing.
func TestChangesHappenOrNot(t *testing.T) {
	a := newAPI(t, managing)
	a.send("POST", functions, program("prog", packed(t, map[string]string{"bootstrap": "#!/bin/sh\n"})), 201)
	generation := func() registry.Generation {
		e, err := a.Deployer.Inspect(routekey.MustParse("/prog"))
		require.NoError(t, err)
		return e.Service.Current.Generation
	}
	before := generation()
	a.send("PUT", functions+"/prog/configuration", map[string]any{"Description": "second", "Environment": map[string]any{"Variables": map[string]string{"_HANDLER": "x"}}}, 400)
	require.Equal(t, "first", a.handler.Record("prog").Description, "the deploy was refused")
	require.Equal(t, before, generation())

	disk := errors.New("no space")
	a.store.fail.Store(&disk)
	a.send("PUT", functions+"/prog/configuration", map[string]any{"Description": "third", "Timeout": 3}, 500)
	require.Equal(t, "first", a.handler.Record("prog").Description)
	require.Equal(t, before, generation(), "neither the record nor the service could be written")
	a.store.fail.Store(&disk)
	a.send("POST", functions, program("other", packed(t, map[string]string{"bootstrap": ""})), 500)
	_, err := a.Deployer.Inspect(routekey.MustParse("/other"))
	require.ErrorIs(t, err, registry.ErrNotFound)
	a.store.fail.Store(&disk)
	a.send("DELETE", functions+"/prog", nil, 500)
	require.Equal(t, "first", a.handler.Record("prog").Description)
	require.Equal(t, before, generation(), "a failed removal removes nothing")
	a.send("DELETE", functions+"/prog", nil, 204)
	require.Zero(t, a.handler.Record("prog"))
}

// TestRefusedAlias checks that a rejected change leaves an alias unchanged, also for concurrent readers.
func TestRefusedAlias(t *testing.T) {
	a := newAPI(t, managing)
	a.send("POST", functions+"/fn/aliases", map[string]any{"Name": "prod", "FunctionVersion": "$LATEST"}, 201)
	was := *a.handler.Record("fn").Aliases["prod"]
	var readers sync.WaitGroup
	defer readers.Wait()
	for range 4 {
		readers.Go(func() {
			for range 20 {
				if resp, body := a.do("POST", functions+"/fn:prod/invocations", "{}"); resp.StatusCode != 200 {
					t.Errorf("%d %s", resp.StatusCode, body)
				}
			}
		})
	}
	for range 20 {
		a.send("PUT", functions+"/fn/aliases/prod", map[string]any{"FunctionVersion": "9", "Description": "changed"}, 404)
		a.send("PUT", functions+"/fn/aliases/prod", map[string]any{"Description": "changed", "RoutingConfig": map[string]any{"AdditionalVersionWeights": map[string]float64{"1": 2}}}, 400)
		require.Equal(t, was, *a.handler.Record("fn").Aliases["prod"])
	}
	a.send("PUT", functions+"/fn/aliases/prod", map[string]any{"Description": "changed"}, 200)
	require.Equal(t, "changed", a.handler.Record("fn").Aliases["prod"].Description)
}

// TestUnpackedCode checks that code is unpacked once it is needed, kept as long as a version refers to it, and
// unpacked again if it is lost.
func TestUnpackedCode(t *testing.T) {
	a := newAPI(t, managing)
	exists := func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(a.dir, "code"))
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	retain := func() { require.NoError(t, a.functions.Retain(a.Registry.State())) }
	code := func(n int) []byte {
		return packed(t, map[string]string{"bootstrap": "#!/bin/sh\n" + strings.Repeat("\n", n)})
	}
	a.send("POST", functions, program("prog", code(0)), 201)
	first := a.document(routekey.MustParse("/prog")).Package
	a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": code(1)}, 200)
	a.send("POST", functions, program("gone", code(2)), 201)
	a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": code(3), "DryRun": true}, 200)
	require.Len(t, exists(), 3, "a dry run unpacks nothing")
	retain()
	require.Len(t, exists(), 3, "the history refers to one")
	a.send("DELETE", functions+"/gone", nil, 204)
	require.Eventually(t, func() bool { retain(); return len(exists()) == 2 }, 30*time.Second, time.Millisecond)

	require.NoError(t, os.RemoveAll(filepath.Join(a.dir, "code", first)))
	_, err := a.Deployer.Rollback(t.Context(), routekey.MustParse("/prog"))
	require.NoError(t, err, "the archive is a blob of the version")
	require.FileExists(t, filepath.Join(a.dir, "code", first, "bootstrap"))
	a.send("DELETE", functions+"/prog", nil, 204)
	require.Eventually(t, func() bool { retain(); return len(exists()) == 0 }, 30*time.Second, time.Millisecond)
}
