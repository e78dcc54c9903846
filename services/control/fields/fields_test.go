package fields_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// input returns an Input that accepts the fields of all kinds.
func input() *fields.Input {
	return fields.New(append(fields.KeyFields(), allkinds.Describe().Fields()...)...)
}

// given returns the fields of texts like "name=value".
func given(texts ...string) *fields.Input {
	in := input()
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		in.Add(name, value)
	}
	return in
}

func TestTheGivenFieldsSelectTheKind(t *testing.T) {
	for _, c := range []struct{ given, kind, form, manifest string }{
		{"module=m memory=16MiB timeout=60s", "wasm", "module", `{"memory":16777216,"timeout":"1m0s"}`},
		{"module=m function=true config=A=b=c", "wasm-function", "module", `{"config":{"A":"b=c"}}`},
		{"module=m function=false", "wasm", "module", `{}`},
		{"upstream=http://a upstream=http://b host=upstream keep_prefix=true keep_location=false", "proxy", "upstream", `{"keep_prefix":true,"upstream":["http://a","http://b"]}`},
		{"static=./www/ fallback=a//b.html", "static", "static", `{"fallback":"a/b.html","static":"www"}`},
		{"function=true runtime_port=9001 worker_concurrency=1", "function", "function", `{"runtime_port":9001}`},
		{"exec=/bin/x exec_arg= exec_arg=b processes=4", "function", "exec", `{"exec":"/bin/x","exec_arg":["","b"]}`},
		{"exec=/bin/x function=true", "function", "exec", `{"exec":"/bin/x"}`},
		{"exec=/bin/x config=A=b", "function", "exec", `{"config":{"A":"b"},"exec":"/bin/x"}`},
		{"queue=true depth=1000 lease=90s durable=true use_config=k=v", "queue", "queue", `{"durable":true,"lease":"1m30s","use_config":{"k":"v"}}`},
	} {
		in := given(strings.Fields(c.given)...)
		s, ok := in.Select(allkinds.Describe(), "nothing is given")
		require.NoError(t, in.Err(), c.given)
		require.True(t, ok)
		require.Equal(t, c.kind, s.Kind.Name, c.given)
		require.Equal(t, c.form, s.Form.Requires[0], c.given)
		require.Equal(t, registry.Manifest(c.manifest), in.Values(s.Form, nil).Manifest(), c.given)
	}
}

func TestFieldsThatDoNotGoTogether(t *testing.T) {
	for _, c := range []struct{ given, field, text string }{
		{"", "", "nothing is given"},
		{"queue=false timeout=1s", "", "nothing is given"},
		{"module=m upstream=http://a", "upstream", "cannot be combined with module"},
		{"static=a queue=true", "queue", "cannot be combined with static"},
		{"module=m static=a queue=true", "queue", "cannot be combined with module and static"},
		{"upstream=http://a memory=1MiB", "memory", "is a field of module, which is not given"},
		{"static=a timeout=1s", "timeout", "is a field of module, upstream, function, exec or queue, and none of them is given"},
		{"function=true exec_arg=a", "exec_arg", "is a field of exec, which is not given"},
		{"queue=true config=a=b", "config", "is a field of module or exec, and none of them is given"},
		{"module=m prefix=a prefix=b", "prefix", "is given more than once"},
		{"module=m surprise=1", "surprise", "is unknown: expected are prefix, match, module, "},
		{"module=m timeout=5", "timeout", `is "5": write it like 500ms, 10s or 1m30s`},
		{"module=m timeout=0s", "timeout", `is "0s": it must be more than 0`},
		{"module=m memory=lots", "memory", `is "lots": write it like 16MiB, or as a number of bytes`},
		{"module=m memory=0", "memory", `is "0": it must be more than 0 and less than 8 EiB`},
		{"module=m isolation=", "isolation", `is "": it must be snapshot or fresh`},
		{"module=m isolation=some", "isolation", `is "some": it must be snapshot or fresh`},
		{"queue=true depth=-1", "depth", `is "-1": it must be a whole number from 0 to 2147483647`},
		{"queue=yes", "queue", `is "yes": it must be true or false`},
		{"module=m config=hunter2", "config", "must be NAME=VALUE"},
		{"module=m config=a=1 config=a=hunter2", "config", `has the name "a" more than once`},
	} {
		in := given(strings.Fields(c.given)...)
		in.Select(allkinds.Describe(), "nothing is given")
		found := in.Violations()
		require.NotEmpty(t, found, c.given)
		require.Equal(t, c.field, found[0].Field, c.given)
		require.Contains(t, found[0].Text, c.text, c.given)
		require.NotContains(t, in.Err().Error(), "hunter2", "values may be secrets")
	}
}

func TestJSONHasTheTypesOfTheFields(t *testing.T) {
	in := input()
	require.True(t, in.AddJSON([]byte("\ufeff"+`{"prefix":"/a/","module":"m","memory":1048576,"timeout":"1s","cgi_args":true,"allow":["https://a"],"config":{"k":"v=w"}}`), ""))
	s, _ := in.Select(allkinds.Describe(), "")
	require.NoError(t, in.Err())
	require.Equal(t, routekey.MustParse("/a"), in.Key())
	require.Equal(t, registry.Manifest(`{"allow":["https://a"],"cgi_args":true,"config":{"k":"v=w"},"memory":1048576,"timeout":"1s"}`), in.Values(s.Form, nil).Manifest())
	for _, text := range []string{
		`{"allow":"https://a"}`, `{"allow":[1]}`, `{"allow":null}`, `{"config":["k=v"]}`, `{"config":{"k":1}}`, `{"config":{"":"v"}}`,
		`{"allow":["a"],"allow":["b"]}`, `{"config":{"a":"b"},"config":{"c":"d"}}`, `{"memory":null}`, `{"memory":1.5}`, `{"memory":[]}`, `{"queue":1}`,
		`{"timeout":1}`, `{"depth":true}`, `{"depth":-1}`, `{"isolation":null}`,
	} {
		in := input()
		require.True(t, in.AddJSON([]byte(text), ""), text)
		in.Parse()
		require.Error(t, in.Err(), text)
	}
	for _, text := range []string{"", " \n", "[]", "1", "{", "{}x", `{"a":1}{}`, "{\"prefix\":\"\xff\"}", strings.Repeat("[", 100000)} {
		in := input()
		require.False(t, in.AddJSON([]byte(text), "{}"), text)
		require.Error(t, in.Err(), text)
	}
}

func TestSettingsFromFiles(t *testing.T) {
	for _, c := range []struct {
		name     string
		give     func(in *fields.Input)
		manifest string
		refused  string
	}{
		{"module", func(in *fields.Input) { in.Add("module", "m") }, `{"config":"a text"}`, ""},
		{"program", func(in *fields.Input) { in.Add("exec", "/bin/x") }, "", "config is one text"},
		{"middleware alone", func(in *fields.Input) { in.Add("queue", "true") }, "", "config is a field of module or exec"},
		{"settings too", func(in *fields.Input) { in.Add("module", "m"); in.Add("config", "a=b") }, "", "config is given more than once"},
		{"twice", func(in *fields.Input) { in.Add("module", "m"); in.SetFile("config", []byte("b")) }, "", "config is given more than once"},
	} {
		in := input()
		require.True(t, in.Claim("config"))
		require.True(t, in.TakesFile("config"))
		require.False(t, in.TakesFile("mount"))
		in.SetFile("config", []byte("a text"))
		c.give(in)
		s, _ := in.Select(allkinds.Describe(), "nothing is given")
		manifest := in.Values(s.Form, nil).Manifest()
		if c.refused != "" {
			require.ErrorContains(t, in.Err(), c.refused, c.name)
			continue
		}
		require.NoError(t, in.Err(), c.name)
		require.Equal(t, registry.Manifest(c.manifest), manifest, c.name)
	}
}

func TestFieldsOfOtherKindsMayAskForNothing(t *testing.T) {
	for _, text := range []string{
		`{"upstream":["http://a"],"config":{},"allow":[],"cgi_args":false,"exec_arg":[],"host":""}`,
		`{"upstream":["http://a"],"config":{},"use":[""],"allow":[""],"request_header":[""],"queue":false}`,
	} {
		in := input()
		require.True(t, in.AddJSON([]byte(text), ""))
		in.DropEmptyLists()
		s, ok := in.Select(allkinds.Describe(), "")
		require.NoError(t, in.Err(), text)
		require.True(t, ok)
		require.Equal(t, registry.Manifest(`{"upstream":["http://a"]}`), in.Values(s.Form, nil).Manifest())
	}
	in := given("static=a")
	in.Unset("unset", []string{"config", "cgi_args", "depth"}, []string{"config", "cgi_args", "depth"})
	in.Select(allkinds.Describe(), "")
	require.NoError(t, in.Err(), "to unset an option has the effect of an empty list")
}

func TestAListWithOneEmptyTextIsEmpty(t *testing.T) {
	before := schema.Values{"request_header": []string{"A: b"}, "config": map[string]string{"k": "v"}, "exec_arg": []string{"x"}}
	manifest := func(in *fields.Input) registry.Manifest {
		in.DropEmptyLists("exec_arg", "upstream")
		s, _ := in.Select(allkinds.Describe(), "")
		require.NoError(t, in.Err())
		return in.Values(s.Form, before).Manifest()
	}
	members := func(text string) *fields.Input {
		in := input()
		require.True(t, in.AddJSON([]byte(text), ""))
		return in
	}
	require.Equal(t, registry.Manifest(`{"upstream":["http://a"]}`), manifest(given("upstream=http://a", "request_header=")))
	require.Equal(t, registry.Manifest(`{"upstream":["http://a"]}`), manifest(members(`{"upstream":["http://a"],"request_header":[""]}`)))
	require.Equal(t, registry.Manifest(`{"exec":"/x","exec_arg":[""]}`), manifest(given("exec=/x", "exec_arg=", "config=")))
	require.Equal(t, registry.Manifest(`{"exec":"/x","exec_arg":[""]}`), manifest(members(`{"exec":"/x","exec_arg":[""],"config":{}}`)))
}

func TestKeys(t *testing.T) {
	for _, c := range []struct{ given, key, field string }{
		{"prefix=hello", "/hello", ""},
		{"prefix=a/b match=host:API.example.com", "/a/b Host: api.example.com", ""},
		{"match=host:x", "", fields.Prefix},
		{"prefix=", "", fields.Prefix},
		{"prefix=/../x", "", fields.Prefix},
		{"prefix=a match=x", "", fields.Match},
	} {
		in := given(strings.Fields(c.given)...)
		key := in.Key()
		if c.field == "" {
			require.NoError(t, in.Err())
			require.Equal(t, routekey.MustParse(c.key), key)
			continue
		}
		require.NotEmpty(t, in.Violations(), c.given)
		require.Equal(t, c.field, in.Violations()[0].Field, c.given)
	}
}

func TestValuesOfBeforeAreKeptUnlessTheyAreGivenOrUnset(t *testing.T) {
	before := schema.Values{"timeout": "1s", "memory": int64(1 << 20), "allow": []string{"https://a"}, "isolation": "fresh"}
	in := given("module=m", "timeout=2s")
	in.Unset("unset", []string{"allow", "module", "timeout"}, []string{"allow", "timeout", "memory"})
	s, _ := in.Select(allkinds.Describe(), "")
	require.Equal(t, registry.Manifest(`{"isolation":"fresh","memory":1048576,"timeout":"2s"}`), in.Values(s.Form, before).Manifest())
	require.Equal(t, []problem.Violation{
		problem.Violate("unset", `has "module": expected are allow, timeout, memory`),
		problem.Violate("timeout", "is given, and unset has it too: choose one of them"),
	}, in.Violations())
}

func TestViolationsAreBounded(t *testing.T) {
	in := fields.New()
	for i := range 100 {
		in.Add(strings.Repeat("x", i+1), "")
	}
	require.Len(t, in.Violations(), 21)
	require.Equal(t, "and 80 more", in.Violations()[20].Text)
	require.Contains(t, in.Violations()[0].Text, "none is expected here")
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"prefix":"a","upstream":["http://a"],"timeout":"1s"}`))
	f.Add([]byte(`{"prefix":"a","module":"m","config":{"a":"b"},"memory":65536,"unset":["x"]}`))
	f.Add([]byte(`{"queue":true,"depth":3,"lease":"1s","default":"true"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		in := input()
		in.AddJSON(text, "{}")
		in.Key()
		s, ok := in.Select(allkinds.Describe(), "nothing is given")
		if in.Err() != nil {
			return
		}
		require.True(t, ok)
		m := in.Values(s.Form, nil).Manifest()
		back, err := schema.ParseManifest(s.Form.Fields, m)
		require.NoError(t, err)
		require.Equal(t, m, back.Manifest(), "a manifest is canonical")
	})
}

// A request that only reads does not say that nothing was changed.
func TestProblemsOfReads(t *testing.T) {
	in := fields.New()
	in.Violate("since", "is wrong")
	require.ErrorContains(t, in.Err(), "nothing was changed")
	in.Reads()
	require.ErrorContains(t, in.Err(), "the request is invalid")
	require.NotContains(t, in.Err().Error(), "nothing was changed")
}
