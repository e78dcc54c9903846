package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
)

// changed is the part of an answer that describes a change.
type changed struct {
	service
	Changes []string
	Kept    []string
}

func (st *stack) form(fields ...string) answer {
	st.t.Helper()
	var parts []part
	for i := 0; i < len(fields); i += 2 {
		parts = append(parts, part{fields[i], fields[i+1]})
	}
	body, contentType := form(st.t, parts...)
	return st.post("/services/add", contentType, body)
}

func decodeInto(t *testing.T, a answer, v any) {
	t.Helper()
	require.Less(t, a.status, 300, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), v), a.body)
}

func short(text string) string { return string(registry.DigestOf([]byte(magic + text)))[:19] }

// full deploys a service with all options and middleware.
func (st *stack) full() answer {
	st.t.Helper()
	return st.form("prefix", "a", "module", magic+"one", "timeout", "10s", "memory", "2MiB", "isolation", "fresh", "allow", "https://a.example",
		"config", "key=secret", "config", "other=hunter2", "use", magic+"auth", "use_config", "token=hunter2")
}

// Options and middleware that are not given are kept, and every change is reported.
func TestReplacementKeepsOptions(t *testing.T) {
	all := []string{"timeout: 10s", "use: " + short("auth"), "use_config: token", "memory: 2MiB", "isolation: fresh", "allow: https://a.example",
		"config: key, other"}
	module := "module: " + short("one") + " -> " + short("two")
	without := func(name string) (rest []string) {
		for _, option := range all {
			if !strings.HasPrefix(option, name+":") {
				rest = append(rest, option)
			}
		}
		return rest
	}
	for name, tt := range map[string]struct {
		query   string
		changes []string
		kept    []string
		served  string
	}{
		"nothing is given":     {"", []string{module}, all, "auth two"},
		"one option":           {"&timeout=500ms", []string{module, "timeout: 10s -> 500ms"}, without("timeout"), "auth two"},
		"one setting":          {"&config=key=new", []string{module, "config: key changed, other removed"}, without("config"), "auth two"},
		"unset option":         {"&unset=memory", []string{module, "memory: 2MiB -> default"}, without("memory"), "auth two"},
		"unset list":           {"&unset=allow", []string{module, "allow: https://a.example -> none"}, without("allow"), "auth two"},
		"empty list":           {"&allow=", []string{module, "allow: https://a.example -> none"}, without("allow"), "auth two"},
		"unset middleware":     {"&unset=use", []string{module, "use: " + short("auth") + " -> none", "use_config: token removed"}, nil, "two"},
		"no middleware":        {"&use=", []string{module, "use: " + short("auth") + " -> none", "use_config: token removed"}, nil, "two"},
		"reset and one option": {"&reset=true&isolation=fresh", nil, []string{"isolation: fresh"}, "two"},
	} {
		t.Run(name, func(t *testing.T) {
			st := start(t, setup{})
			first := st.full()
			require.Equal(t, http.StatusCreated, first.status, first.body)
			require.NotContains(t, first.body, `"changes"`)
			require.NotContains(t, first.body, "hunter2")
			require.Equal(t, "auth one", st.get("/a").body)

			second := st.post("/services/add?prefix=a"+tt.query, "application/wasm", magic+"two")
			require.Equal(t, http.StatusOK, second.status, second.body)
			var got changed
			decodeInto(t, second, &got)
			if tt.changes != nil {
				require.Equal(t, tt.changes, got.Changes)
			}
			switch {
			case tt.served == "two" && tt.changes != nil:
				require.NotContains(t, strings.Join(got.Kept, "\n"), "use")
				require.Contains(t, got.Kept, "timeout: 10s")
			default:
				require.Equal(t, tt.kept, got.Kept)
			}
			require.Equal(t, tt.served, st.get("/a").body)
			require.NotContains(t, second.body, "hunter2")

			// A rollback restores the options and the middleware, and reports it.
			var back changed
			decodeInto(t, st.post("/services/rollback?prefix=a", "", ""), &back)
			require.Equal(t, first.service(t).Digest, back.Digest)
			require.Len(t, back.Changes, len(got.Changes))
			require.Contains(t, back.Changes, "module: "+short("two")+" -> "+short("one"))
			require.Equal(t, "auth one", st.get("/a").body)
		})
	}
}

func TestReplacementKeepsWhatADocumentSays(t *testing.T) {
	st := start(t, setup{})
	first := st.form("prefix", "a", "upstream", "http://127.0.0.1:1", "keep_prefix", "true", "host", "client", "request_header", "Authorization: Bearer hunter2",
		"timeout", "3s", "use", magic+"auth")
	require.Equal(t, http.StatusCreated, first.status, first.body)
	answer := st.post("/services/add", "application/json", `{"prefix":"a","upstream":["http://127.0.0.1:2"]}`)
	require.Equal(t, http.StatusOK, answer.status, answer.body)
	var got changed
	decodeInto(t, answer, &got)
	require.Equal(t, []string{"upstream: http://127.0.0.1:1 -> http://127.0.0.1:2"}, got.Changes)
	require.Equal(t, []string{"timeout: 3s", "use: " + short("auth"), "keep_prefix: true", "host: client", "request_header"}, got.Kept)

	decodeInto(t, st.post("/services/add", "application/json",
		`{"prefix":"a","upstream":["http://127.0.0.1:2"],"keep_prefix":false,"unset":["host","request_header"],"use":[]}`), &got)
	require.Equal(t, []string{"use: " + short("auth") + " -> none", "keep_prefix: true -> false", "host: client -> default", "request_header: changed"}, got.Changes)

	got = changed{}
	decodeInto(t, st.post("/services/add?reset=true&prefix=a&upstream=http://127.0.0.1:2", "", ""), &got)
	require.Equal(t, []string{"timeout: 3s -> default"}, got.Changes)
	got = changed{}
	same := st.post("/services/add?prefix=a&upstream=http://127.0.0.1:2", "", "")
	decodeInto(t, same, &got)
	require.Contains(t, same.body, `"changes":[]`, "the same again")

	decodeInto(t, st.form("prefix", "f", "exec", "/bin/true", "exec_arg", "hunter2", "processes", "2", "config", "k=v"), &got)
	got = changed{}
	decodeInto(t, st.form("prefix", "f", "exec", "/bin/false"), &got)
	require.Equal(t, []string{"exec: /bin/true -> /bin/false"}, got.Changes)
	require.Equal(t, []string{"config: k", "exec_arg", "processes: 2"}, got.Kept)
	got = changed{}
	decodeInto(t, st.form("prefix", "f", "function", "true"), &got)
	require.Contains(t, got.Changes, "config: k removed", "which is for programs")
}

// A text of any bytes is configured in place of settings, by a form or as JSON. It is a secret.
func TestTextsForGetConfig(t *testing.T) {
	st := start(t, setup{})
	text := "hunter2\x00\xff\r\n"
	require.Equal(t, http.StatusCreated, st.form("prefix", "a", "module", magic+"one", "config", "key=hunter2", "use", magic+"auth", "use_config@", text).status)
	first := st.form("prefix", "a", "module", magic+"one", "config@", text)
	var got changed
	decodeInto(t, first, &got)
	require.Equal(t, []string{"config: key -> 11 bytes"}, got.Changes)
	require.Equal(t, []string{"use: " + short("auth"), "use_config: 11 bytes"}, got.Kept)
	require.Contains(t, first.body, `"options":{"config":"11 bytes","use_config":"11 bytes"}`)
	require.NotContains(t, first.body, "hunter2")
	require.NotContains(t, first.body, "base64")

	// JSON has it as a string, or encoded.
	for _, c := range []struct{ use, want string }{
		{`"hunter2\u0000"`, "use_config: 11 bytes -> 8 bytes"},
		{`{"=base64":"aHVudGVyMgD/"}`, "use_config: 8 bytes -> 9 bytes"},
		{`{"token":"hunter2"}`, "use_config: 9 bytes -> token"},
		{`""`, "use_config: token removed"},
	} {
		got = changed{}
		decodeInto(t, st.post("/services/add", "application/json", `{"prefix":"a","upstream":["http://127.0.0.1:1"],"use_config":`+c.use+`}`), &got)
		require.Contains(t, got.Changes, c.want)
	}
}

// A change of the kind keeps the options that are common to all kinds.
func TestChangeOfKindKeepsCommonOptions(t *testing.T) {
	st := start(t, setup{})
	require.Equal(t, http.StatusCreated, st.full().status)
	var got changed
	decodeInto(t, st.form("prefix", "a", "upstream", "http://127.0.0.1:1"), &got)
	require.Equal(t, "proxy", got.Kind)
	require.Equal(t, []string{"timeout: 10s", "use: " + short("auth"), "use_config: token"}, got.Kept)
	require.Equal(t, []string{
		"kind: wasm -> proxy", "module: " + short("one") + " -> none", "memory: 2MiB -> default", "isolation: fresh -> default",
		"allow: https://a.example -> none", "config: key removed, other removed", "upstream: none -> http://127.0.0.1:1",
	}, got.Changes)
	got = changed{}
	decodeInto(t, st.post("/services/rollback?prefix=a", "", ""), &got)
	require.Contains(t, got.Changes, "kind: proxy -> wasm")
	require.Equal(t, "auth one", st.get("/a").body)
}

func TestUnsetRefuses(t *testing.T) {
	st := start(t, setup{})
	for query, words := range map[string]string{
		"&unset=prefix": "expected are ", "&unset=timeout&timeout=1s": "choose one", "&unset=": `unset has ""`, "&reset=maybe": "true or false",
	} {
		got := st.post("/services/add?prefix=a"+query, "application/wasm", magic+"one").problem(t, problem.BadRequest)
		require.Contains(t, strings.Join(got.Violations, "\n"), words, query)
	}
}
