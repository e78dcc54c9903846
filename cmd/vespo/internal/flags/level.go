package flags

import (
	"fmt"
	"log/slog"
	"reflect"

	"github.com/alecthomas/kong"
)

// Level returns the option by which kong refuses a level of a log with the list of levels.
func Level() kong.Option {
	return kong.TypeMapper(reflect.TypeFor[slog.Level](), kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		text, err := popText(ctx, "level")
		if err != nil {
			return err
		}
		var level slog.Level
		if level.UnmarshalText([]byte(text)) != nil {
			return fmt.Errorf("is %q: it must be debug, info, warn or error", text)
		}
		target.Set(reflect.ValueOf(level))
		return nil
	}))
}
