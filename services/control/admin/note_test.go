package admin_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
)

// noted is the part of an answer about notes.
type noted struct {
	Generation      uint64
	Message, Author string
	History         []noted
}

func (st *stack) noted(prefix string) noted {
	st.t.Helper()
	var n noted
	require.NoError(st.t, json.Unmarshal([]byte(st.get("/services/inspect?prefix="+prefix).body), &n))
	return n
}

// TestNotesStayWithTheirVersion checks that a message and an author belong to one version, which a rollback takes along.
func TestNotesStayWithTheirVersion(t *testing.T) {
	st := start(t, setup{})
	add := func(text, note string) answer { return st.add("a"+note, text) }
	require.Equal(t, http.StatusCreated, add("one", "&message=add+login&author=ada").status)
	require.Equal(t, http.StatusOK, add("two", "").status)
	one := noted{Generation: 1, Message: "add login", Author: "ada"}
	require.Equal(t, noted{Generation: 2, History: []noted{one}}, st.noted("a"), "a note is not kept as an option is")
	require.Equal(t, http.StatusOK, st.post("/services/rollback?prefix=a", "", "").status)
	require.Equal(t, noted{Generation: 3, Message: "add login", Author: "ada", History: []noted{{Generation: 2}}}, st.noted("a"))
	again := st.post("/services/add", "application/json", `{"prefix":"p","upstream":["http://127.0.0.1:1"],"message":"é <&>","author":"bob"}`)
	require.Equal(t, http.StatusCreated, again.status, again.body)
	require.Equal(t, noted{Generation: 4, Message: "é <&>", Author: "bob"}, st.noted("p"))
}

func TestNotesAreBounded(t *testing.T) {
	st := start(t, setup{})
	for query, words := range map[string]string{
		"message=" + strings.Repeat("x", 501):     "message has 501 bytes: at most 500 are kept",
		"author=" + strings.Repeat("x", 101):      "author has 101 bytes: at most 100 are kept",
		"message=" + url.QueryEscape("a\nb"):      "message has a line break",
		"author=" + url.QueryEscape("\x1b[2Jada"): "author has a line break or another control character",
		"message=%ff":         "message is not valid UTF-8",
		"message=a&message=b": "message is given more than once",
	} {
		p := st.add("a&"+query, "one").problem(t, problem.BadRequest)
		require.Contains(t, strings.Join(p.Violations, "\n"), words, query)
	}
	require.Equal(t, http.StatusCreated, st.add("a&message="+strings.Repeat("x", 500)+"%0A&author=", "one").status, "the end of a line is cut off")
}

// TestUnknownGenerationsAreNamed checks that a rollback to a version that is not there tells which ones are.
func TestUnknownGenerationsAreNamed(t *testing.T) {
	st := start(t, setup{})
	for _, text := range []string{"one", "two", "three"} {
		st.add("a", text)
	}
	detail := func(generation string) string {
		return st.post("/services/rollback?prefix=a&generation="+generation, "", "").problem(t, problem.Conflict).Detail
	}
	require.Equal(t, "there is no version of generation 77; known are 2, 1, and the current 3", detail("77"))
	require.Equal(t, "generation 3 is the current version; earlier ones are 2, 1", detail("3"))
}
