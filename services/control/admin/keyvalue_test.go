package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// startWithStores starts a stack with key-value stores.
func startWithStores(t *testing.T, limits boltstore.Limits) (*stack, *boltstore.Stores) {
	stores, err := boltstore.Open(boltstore.Config{Dir: t.TempDir(), Limits: limits})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	return start(t, setup{admin: admin.Config{KeyValue: stores}}), stores
}

func TestKeyValue(t *testing.T) {
	st, _ := startWithStores(t, boltstore.Limits{})
	require.Equal(t, `{"stores":[]}`+"\n", st.get("/services/kv").body)
	a := st.post("/services/kv/import?store=a", "application/jsonl", `{"key":"k/1","value":"one","metadata":"m"}`+"\n"+`{"key":"k/2","base64":"/wA="}`+"\n"+`{"key":"l"}`)
	require.Equal(t, `{"store":"a","state":"imported","keys":3,"expired":0}`+"\n", a.body)
	require.Equal(t, 201, st.post("/services/add?prefix=x&kv=NAME%3Da&kv=b", "application/wasm", magic+"text").status)
	require.Equal(t, `{"stores":[{"store":"a","keys":3,"bytes":205,"services":["/x"]},{"store":"b","keys":0,"bytes":0,"services":["/x"]}]}`+"\n",
		st.get("/services/kv").body)

	require.Equal(t, `{"store":"b","keys":[]}`+"\n", st.get("/services/kv/list?store=b").body)
	require.Equal(t, 200, st.get("/services/kv/export?store=b").status)

	var page struct {
		Keys   []struct{ Key, Metadata string }
		Cursor string
	}
	a = st.get("/services/kv/list?store=a&prefix=k&limit=1")
	require.NoError(t, json.Unmarshal([]byte(a.body), &page))
	require.Equal(t, "k/1", page.Keys[0].Key)
	require.Equal(t, "m", page.Keys[0].Metadata)
	require.Equal(t, "k/1", page.Cursor)
	a = st.get("/services/kv/list?store=a&cursor=" + url.QueryEscape(page.Cursor))
	require.Contains(t, a.body, `"k/2"`)
	require.Contains(t, a.body, `"l"`)
	require.NotContains(t, a.body, "cursor")

	a = st.get("/services/kv/get?store=a&key=k/2")
	require.Contains(t, a.body, `"base64":"/wA="`)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	a = st.get("/services/kv/export?store=a&prefix=k")
	require.Equal(t, "application/jsonl", a.header.Get("Content-Type"))
	require.Equal(t, 2, strings.Count(a.body, "\n"))
	require.Empty(t, st.do(st.request(http.MethodHead, "/services/kv/export?store=a", "", nil)).body)

	require.Equal(t, `{"store":"a","key":"l","state":"deleted","keys":0,"expired":0}`+"\n", st.post("/services/kv/delete?store=a&key=l", "", "").body)
	st.post("/services/kv/delete?store=a&key=l", "", "").problem(t, problem.NotFound)
	require.Equal(t, 200, st.post("/services/kv/delete?store=a&all=true", "", "").status)
	st.get("/services/kv/get?store=a&key=k/1").problem(t, problem.NotFound)
}

func TestRefusedKeyValueRequests(t *testing.T) {
	st, stores := startWithStores(t, boltstore.Limits{StoreBytes: 200})
	_, err := stores.Write(t.Context(), "a", []kv.Change{{Key: "k", Value: []byte("v")}})
	require.NoError(t, err)
	post := func(path, body string) answer { return st.post("/services/kv/"+path, "application/jsonl", body) }
	for path, kind := range map[string]problem.Kind{
		"list":                        problem.BadRequest,
		"list?store=A":                problem.BadRequest,
		"list?store=a&limit=0":        problem.BadRequest,
		"list?store=a&limit=1001":     problem.BadRequest,
		"list?store=a&other=1":        problem.BadRequest,
		"list?store=a&prefix=%00":     problem.BadRequest,
		"get?store=a":                 problem.BadRequest,
		"get?store=a&key=none":        problem.NotFound,
		"get?store=none&key=k":        problem.NotFound,
		"list?store=none":             problem.NotFound,
		"export?store=none":           problem.NotFound,
		"export":                      problem.BadRequest,
		"none":                        problem.NotFound,
		"delete?store=a&key=k":        problem.MethodNotAllowed,
		"export?store=..%2f..%2fetc":  problem.BadRequest,
		"get?store=a&key=k&key=twice": problem.BadRequest,
	} {
		st.get("/services/kv/"+path).problem(t, kind)
	}
	post("delete?store=a", "").problem(t, problem.BadRequest)
	post("delete?store=a&key=k&all=true", "").problem(t, problem.BadRequest)
	post("delete?store=none&all=true", "").problem(t, problem.NotFound)
	require.Equal(t, 404, post("delete?store=typo&key=k", "").status)
	require.NotContains(t, st.get("/services/kv").body, "typo", "a request that fails leaves no store")
	p := post("import?store=a", `{"key":"l","value":"w"}`+"\nno\n").problem(t, problem.BadRequest)
	require.Contains(t, p.Detail, "line 2: is not a JSON object")
	require.Contains(t, p.Detail, "0 keys")
	p = post("import?store=a", `{"key":"k","value":"w","if_version":1}`).problem(t, problem.Conflict)
	require.Contains(t, p.Detail, "line 1: the key \"k\" has the version")
	p = post("import?store=a", `{"key":"l","value":"`+strings.Repeat("x", 100)+`"}`).problem(t, problem.InsufficientStorage)
	require.Contains(t, p.Detail, "no room")
	require.Contains(t, st.get("/services/kv/get?store=a&key=k").body, `"value":"v"`)

	without := start(t, setup{})
	without.get("/services/kv").problem(t, problem.NotFound)
	private := start(t, setup{admin: admin.Config{Token: "t", KeyValue: stores}})
	for _, path := range []string{"", "/list?store=a", "/get?store=a&key=k", "/export?store=a"} {
		private.get("/services/kv"+path).problem(t, problem.Unauthorized)
	}
	private.post("/services/kv/import?store=a", "application/jsonl", `{"key":"k"}`).problem(t, problem.Unauthorized)
	private.post("/services/kv/delete?store=a&all=true", "", "").problem(t, problem.Unauthorized)
}

// failing fails at the second page.
type failing struct {
	kv.Stores
}

func (f failing) List(ctx context.Context, store string, q kv.Query) (kv.Page, error) {
	if q.After != "" {
		return kv.Page{}, errDisk
	}
	return f.Stores.List(ctx, store, q)
}

// TestExportsThatFailAreCut checks that a client cannot take a part for all.
func TestExportsThatFailAreCut(t *testing.T) {
	_, stores := startWithStores(t, boltstore.Limits{})
	for n := range 20 {
		var changes []kv.Change
		for m := range kv.MaxChanges {
			changes = append(changes, kv.Change{Key: fmt.Sprintf("%02d/%02d", n, m), Value: []byte("v")})
		}
		_, err := stores.Write(t.Context(), "a", changes)
		require.NoError(t, err)
	}
	st := start(t, setup{admin: admin.Config{KeyValue: failing{stores}}})
	resp, err := st.RoundTrip(servicetest.NewRequest(t, http.MethodGet, st.URL+"/services/kv/export?store=a", nil))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	lines := 0
	from := bufio.NewReader(resp.Body)
	for err == nil {
		_, err = from.ReadString('\n')
		lines++
	}
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Less(t, lines, 1100)
}
