package admin_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// A field that is no value does not hide what the kind finds in the others.
func TestAllViolationsAreToldAtOnce(t *testing.T) {
	st := start(t, setup{})
	for body, fields := range map[string][]string{
		`{"prefix":"/a","upstream":["ftp://a"],"host":"mine","timeout":"soon"}`:         {"host", "timeout", "upstream"},
		`{"prefix":"/a","upstream":["ftp://a"],"memory":"1MiB","request_header":["x"]}`: {"memory", "upstream", "request_header"},
		`{"prefix":"..","function":true,"runtime_port":70000,"surprise":1}`:             {"surprise", "prefix", "runtime_port"},
		`{"prefix":"/a","upstream":"x"}`:                                                {"upstream"},
	} {
		p := st.post("/services/add", "application/json", body).problem(t, problem.BadRequest)
		require.Equal(t, fields, p.Fields, body)
		require.Len(t, p.Violations, len(fields))
	}
	require.Equal(t, http.StatusNotFound, st.get("/services/inspect?prefix=a").status)
}

// A client can ask about the fields before it builds a module: the answer has all violations, and nothing changes.
func TestFieldsAreCheckedWithoutTheModule(t *testing.T) {
	st := start(t, setup{})
	for body, fields := range map[string][]string{
		`{"prefix":"..","check":true,"rate":"lots","timeout":"soon","surprise":1}`: {"timeout", "surprise", "prefix", "rate"},
		`{"prefix":"a","check":true,"canary":"5%","canary_for":"x"}`:               {"canary_for"},
		`{"prefix":"a","check":true,"rate_by":"ip"}`:                               {"rate_by"},
		`{"prefix":"a","check":true,"upstream":["http://a"]}`:                      {"upstream"},
	} {
		p := st.post("/services/add", "application/json", body).problem(t, problem.BadRequest)
		require.Equal(t, fields, p.Fields, body)
	}
	got := st.post("/services/add", "application/json", `{"prefix":"a","check":true,"memory":"1MiB"}`)
	require.Equal(t, http.StatusOK, got.status, got.body)
	require.JSONEq(t, `{"prefix":"/a","state":"checked"}`, string(got.body))
	require.Equal(t, http.StatusNotFound, st.get("/services/inspect?prefix=a").status)
	st.post("/services/add?prefix=a&check=true", "application/wasm", "x").problem(t, problem.BadRequest)
}
