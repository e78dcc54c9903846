package deploy

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTee calls every callback of a tee, and checks that those of all subscribers are called with the same
// values. Subscribers need not have each callback.
func TestTee(t *testing.T) {
	var told []string
	subscriber := func(name string) Events {
		var e Events
		fields := reflect.ValueOf(&e).Elem()
		for i := range fields.NumField() {
			fields.Field(i).Set(reflect.MakeFunc(fields.Field(i).Type(), func(args []reflect.Value) []reflect.Value {
				told = append(told, fmt.Sprint(name, " ", fields.Type().Field(i).Name, " ", args))
				return nil
			}))
		}
		return e
	}
	tee := reflect.ValueOf(Tee(subscriber("first"), Events{}, subscriber("second")))
	require.Positive(t, tee.NumField())
	for i := range tee.NumField() {
		name := tee.Type().Field(i).Name
		require.False(t, tee.Field(i).IsNil(), name)
		told = nil
		var args []reflect.Value
		for at := range tee.Field(i).Type().NumIn() {
			args = append(args, reflect.Zero(tee.Field(i).Type().In(at)))
		}
		tee.Field(i).Call(args)
		require.Len(t, told, 2, name)
		require.Equal(t, fmt.Sprint("first ", name, " ", args), told[0])
		require.Equal(t, fmt.Sprint("second ", name, " ", args), told[1])
	}
}
