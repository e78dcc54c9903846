package registry

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
)

// TestEqualSeesEveryField changes each field of a service and of its parts, also fields that are added later.
func TestEqualSeesEveryField(t *testing.T) {
	made := func() Service {
		return Service{
			Key:     routekey.MustParse("/a"),
			Current: Version{Kind: "wasm", Blobs: []Blob{{Field: "module", Digest: DigestOf(nil)}}},
			History: []Version{{Kind: "wasm"}},
			Split:   Split{Arms: []Arm{{Number: 1}}},
			Mirror:  Mirror{Headers: []string{"a"}},
		}
	}
	require.True(t, made().Equal(made()))
	changed := 0
	var walk func(at func(*Service) reflect.Value, name string)
	walk = func(at func(*Service) reflect.Value, name string) {
		s := made()
		field := at(&s)
		if name == "SizeBytes" { // the digest implies it
			return
		}
		switch v := field.Interface().(type) {
		case time.Time:
			field.Set(reflect.ValueOf(v.Add(time.Second)))
		case routekey.Key:
			field.Set(reflect.ValueOf(routekey.MustParse("/b")))
		default:
			switch field.Kind() {
			case reflect.Struct:
				for i := range field.NumField() {
					walk(func(s *Service) reflect.Value { return at(s).Field(i) }, field.Type().Field(i).Name)
				}
				return
			case reflect.Slice:
				if field.Len() > 0 {
					walk(func(s *Service) reflect.Value { return at(s).Index(0) }, name)
				}
				field.Set(reflect.Append(field, reflect.Zero(field.Type().Elem())))
			case reflect.String:
				field.SetString(field.String() + "x")
			case reflect.Bool:
				field.SetBool(!field.Bool())
			case reflect.Float64:
				field.SetFloat(field.Float() + 1)
			case reflect.Uint64:
				field.SetUint(field.Uint() + 1)
			case reflect.Int, reflect.Int64:
				field.SetInt(field.Int() + 1)
			default:
				require.Fail(t, "a field of a kind that this test does not know", "%s %s", name, field.Kind())
			}
		}
		changed++
		require.False(t, made().Equal(s), "%s was changed", name)
		require.False(t, s.Equal(made()), "%s was changed", name)
	}
	walk(func(s *Service) reflect.Value { return reflect.ValueOf(s).Elem() }, "Service")
	require.Greater(t, changed, 30)
}
