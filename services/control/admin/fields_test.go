package admin

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptionsThatMayBeGivenMoreThanOnce(t *testing.T) {
	r := httptest.NewRequest("POST", "/services/add?prefix=a&allow=https://a&config=k=v%3Dw&allow=10.0.0.0/8&config=empty=", nil)
	f := queryFields(r, optionFields(fieldPrefix)...)
	o := f.options()
	require.NoError(t, f.err())
	require.Equal(t, []string{"https://a", "10.0.0.0/8"}, o.Allow)
	require.Equal(t, map[string]string{"k": "v=w", "empty": ""}, o.Config)

	f = newFields("JSON member", optionFields(fieldPrefix)...)
	require.True(t, f.addJSON([]byte(`{"prefix":"a","allow":["https://a"],"config":{"k":"v=w","secret":"s"}}`)))
	o = f.options()
	require.NoError(t, f.err())
	require.Equal(t, []string{"https://a"}, o.Allow)
	require.Equal(t, map[string]string{"k": "v=w", "secret": "s"}, o.Config)
}

func TestListOptionsThatAreWrong(t *testing.T) {
	for _, text := range []string{
		`{"allow":"https://a"}`, `{"allow":[1]}`, `{"allow":null}`, `{"config":["k=v"]}`, `{"config":{"k":1}}`, `{"config":{"":"v"}}`,
		`{"allow":["a"],"allow":["b"]}`, `{"config":{"a":"b"},"config":{"c":"d"}}`,
	} {
		f := newFields("JSON member", optionFields(fieldPrefix)...)
		require.True(t, f.addJSON([]byte(text)))
		f.options()
		require.Error(t, f.err(), text)
	}
	r := httptest.NewRequest("POST", "/services/add?config=hunter2&config=a=1&config=a=hunter2", nil)
	f := queryFields(r, optionFields(fieldPrefix)...)
	f.options()
	require.ErrorContains(t, f.err(), "NAME=VALUE")
	require.ErrorContains(t, f.err(), "more than once")
	require.NotContains(t, f.err().Error(), "hunter2", "values may be secrets")
}
