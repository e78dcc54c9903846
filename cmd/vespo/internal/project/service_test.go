package project

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/schema"
)

func TestServiceOfTheSettings(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:              `{}`,
		`{"service": {}}`: `{}`,
		`{"service": {"rate": "10/s", "burst": 20}}`:                                                                                `{"burst":20,"rate":"10/s"}`,
		`{"service": {"cron": ["@daily POST /x"], "cron_grace": "10m"}}`:                                                            `{"cron":["@daily POST /x"],"cron_grace":"10m0s"}`,
		`{"service": {"memory": "32MiB", "timeout": "1s", "allow": ["https://a.example"], "config": {"k": "v"}, "cgi_args": true}}`: `{"allow":["https://a.example"],"cgi_args":true,"config":{"k":"v"},"memory":33554432,"timeout":"1s"}`,
	} {
		dir := directory(t, map[string]string{"main.go": "", settingsFile: text})
		p, err := Open(dir)
		require.NoError(t, err)
		require.JSONEq(t, want, string(p.service.Manifest()))
	}
	for text, want := range map[string]string{
		`{"service": {"module": "x"}}`:        "service.module is unknown: expected are memory, timeout",
		`{"service": {"surprise": 1}}`:        "service.surprise is unknown",
		`{"service": {"memory": "much"}}`:     `service.memory is "much": write it like 16MiB`,
		`{"service": {"config": ["secret"]}}`: "service.config must be an object of strings",
	} {
		dir := directory(t, map[string]string{"main.go": "", settingsFile: text})
		_, err := Open(dir)
		require.ErrorContains(t, err, filepath.Join(dir, settingsFile)+": "+want)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestFlagsTakePrecedence(t *testing.T) {
	named := func(pairs map[string]string) schema.Settings { return schema.Settings{ByName: pairs} }
	values := schema.Values{
		"allow":   []string{"https://a"},
		"config":  named(map[string]string{"a": "1", "b": "2"}),
		"mount":   map[string]string{"/a": "a"},
		"timeout": "1s",
	}
	merged := withFlags(values, map[string]any{
		"allow":  []string{"https://b"},
		"config": named(map[string]string{"b": "3"}),
		"mount":  map[string]string{"/b": "b"},
	})
	require.Equal(t, schema.Values{
		"allow":   []string{"https://b"},
		"config":  named(map[string]string{"a": "1", "b": "3"}),
		"mount":   map[string]string{"/a": "a", "/b": "b"},
		"timeout": "1s",
	}, merged)
	require.Equal(t, "2", values["config"].(schema.Settings).ByName["b"], "values are as they were")

	text := map[string]any{"config": schema.Settings{Text: "SecRule"}}
	require.Equal(t, schema.Values(text)["config"], withFlags(values, text)["config"], "a text replaces all")
	require.Equal(t, named(map[string]string{"k": "v"}), withFlags(text, map[string]any{"config": named(map[string]string{"k": "v"})})["config"])
}
