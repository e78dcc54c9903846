package wrangler

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const inTOML = `
name = "shop"
main = "./src/worker.ts"
compatibility_date = "2026-01-01"
kv_namespaces = [{ binding = "MY_CACHE", id = "abc" }, { id = "x" }]
[vars]
GREETING = "hello"
LIMITS = { a = 1, b = [true] }
[triggers]
crons = ["*/5 * * * *"]
[[services]]
binding = "AUTH"
service = "auth"
[assets]
directory = "./public"
binding = "ASSETS"
not_found_handling = "single-page-application"
[env.staging]
name = "shop-staging"
[[d1_databases]]
binding = "DB"
`

const inJSON = `{
  // a comment with "quotes" and a /* start
  "name": "shop", /* another, } */
  "main": "./src/worker.ts",
  "compatibility_date": "2026-01-01",
  "kv_namespaces": [{"binding": "MY_CACHE", "id": "abc",}, {"id": "x"},],
  "vars": {"GREETING": "hello", "LIMITS": {"a": 1, "b": [true]}},
  "triggers": {"crons": ["*/5 * * * *"]}, // not the end of a comment
  "services": [{"binding": "AUTH", "service": "auth"}],
  "assets": {"directory": "./public", "binding": "ASSETS", "not_found_handling": "single-page-application"},
  "env": {"staging": {"name": "shop-staging"}},
  "d1_databases": [{"binding": "DB"}],
}`

const made = `{"prefix":"shop","toolchain":"worker","service":{"config":{"GREETING":"hello"},"cron":["*/5 * * * *"]},` +
	`"worker":{"main":"src/worker.ts","vars":{"LIMITS":{"a":1,"b":[true]}},"kv":{"MY_CACHE":"my_cache"},"services":{"AUTH":"auth"},` +
	`"assets":{"directory":"public","binding":"ASSETS","not_found_handling":"single-page-application"}}}`

func TestRead(t *testing.T) {
	for name, text := range map[string]string{"wrangler.toml": inTOML, "wrangler.jsonc": inJSON, "wrangler.json": inJSON} {
		project, problems, err := Read(name, []byte(text))
		require.NoError(t, err, name)
		got, err := json.Marshal(project)
		require.NoError(t, err)
		require.Equal(t, made, string(got), name)
		var said []string
		for _, p := range problems {
			said = append(said, p.String())
		}
		require.Equal(t, []string{
			"compatibility_date: left out: there is one behaviour",
			"d1_databases: left out: it is not supported",
			"env: left out: make a project for each of the environments staging",
			`kv_namespaces[0]: MY_CACHE is the store "my_cache" of the server: "vespo kv import" fills it`,
			"kv_namespaces[1].binding: left out: it must be a text",
			`name: the prefix is /shop, which is a part of all paths that the script and the assets see: write "prefix": "/" if it uses paths such as /about`,
		}, said, name)
	}
}

func TestReadNamesWhatItCannotDo(t *testing.T) {
	for text, want := range map[string]string{
		`{"main": "../x.js"}`: `main: "../x.js" is not below`,
		`{"main": 1}`:         "main: left out: it must be a text",
		`{"vars": []}`:        "vars: left out: it must be an object",
		`{"compatibility_flags": ["nodejs_compat"]}`:                                   "compatibility_flags: nodejs_compat is left out",
		`{"route": "example.com/api/*"}`:                                               "route: the prefix is /api, for all hosts: for one, deploy with --match 'Host: example.com'",
		`{"routes": ["a.com/*", {"pattern": "b.com/x"}]}`:                              "routes[1]: left out: deploy once for each route, with vespo deploy /x --match 'Host: b.com'",
		`{"assets": {"directory": "/srv"}}`:                                            `assets.directory: "/srv" is not below`,
		`{"assets": {"directory": "a", "run_worker_first": ["/api/*"]}}`:               "assets.run_worker_first: the script runs first for all paths",
		`{"services": [{"binding": "A", "service": "b", "entrypoint": "C"}]}`:          "services[0].entrypoint: left out",
		`{"triggers": {"crons": ["0 0 * * 1-5"]}}`:                                     `triggers.crons[0]: "0 0 * * 1-5" is "0 0 * * SUN-THU" here, which the handler gets as well`,
		`{"triggers": {"crons": ["0 0 0 * *"]}}`:                                       `triggers.crons[0]: "0 0 0 * *" is left out: the day of month is "0"`,
		`{"assets": {"directory": 5}}`:                                                 `assets.directory: "" is not below`,
		`{"site": {"bucket": ""}}`:                                                     `site.directory: "" is not below`,
		`{"vars": {"A": ` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`: "vars.A: left out: it is nested more than 100",
		`{"durable_objects": {}}`:                                                      "durable_objects: left out: it is not supported",
	} {
		_, problems, err := Read("wrangler.json", []byte(text))
		require.NoError(t, err, text)
		var said []string
		for _, p := range problems {
			said = append(said, p.String())
		}
		require.Contains(t, strings.Join(said, "\n"), want, text)
	}
	for name, text := range map[string]string{"a.toml": "a =", "a.json": `{"a": 1} 2`, "b.json": "null", "c.json": "[]", "a.jsonc": `{"a": 1 /* }`, "b.jsonc": `{,}1`} {
		_, _, err := Read(name, []byte(text))
		require.Error(t, err, name)
	}
	_, _, err := Read("wrangler.toml", []byte("name = \"a\"\nmain = \n"))
	require.ErrorContains(t, err, "line 2, column 8: toml: ")
}

// TestReadConverts checks what means something else here.
func TestReadConverts(t *testing.T) {
	project, _, err := Read("wrangler.json", []byte(`{
		"triggers": {"crons": ["*/5 * * * *", "0 9 * * 2-6", "0 0 * * 0"]},
		"kv_namespaces": [
			{"binding": "CACHE", "id": "1"}, {"binding": "cache", "id": "2"}, {"binding": "OTHER", "id": "1"},
			{"binding": "日本", "id": "3"}, {"binding": "中国"}, {"binding": "`+strings.Repeat("A", 100)+`", "id": "4"}
		]
	}`))
	require.NoError(t, err)
	require.Equal(t, []string{"*/5 * * * *", "0 9 * * MON-FRI"}, project.Service.Cron, "days have other numbers")
	require.Equal(t, map[string]string{
		"CACHE":                  "cache",
		"cache":                  "cache-2",
		"OTHER":                  "cache",
		"日本":                     "store",
		"中国":                     "store-2",
		strings.Repeat("A", 100): strings.Repeat("a", maxStoreBytes),
	}, project.Worker.KV, "namespaces do not become one store")
}

// FuzzRead checks that no file ends in a panic, and that JSON without comments and spare commas is read as it is.
func FuzzRead(f *testing.F) {
	f.Add("x.toml", inTOML)
	f.Add("x.jsonc", inJSON)
	f.Add("x.json", `{"a": "//", "b": [1, 2,], "c": "\"/*"}`)
	f.Fuzz(func(t *testing.T, name, text string) {
		if project, _, err := Read(name, []byte(text)); err == nil {
			_, err := json.Marshal(project)
			require.NoError(t, err)
		}
		plain, err := plainJSON([]byte(text))
		if err == nil {
			require.Len(t, plain, len(text))
		}
		if json.Valid([]byte(text)) {
			require.NoError(t, err)
			require.Equal(t, text, string(plain))
		}
	})
}
