package flags

import (
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// Duration returns the option by which kong refuses a duration with examples of how to write one.
func Duration() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[time.Duration](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		text, err := popText(ctx, "duration")
		if err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("is %q: write it like 500ms, 10s or 1m30s", text)
		}
		target.SetInt(int64(d))
		return nil
	}))
}
