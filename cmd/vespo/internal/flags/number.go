package flags

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/alecthomas/kong"
)

// Number returns the option by which kong refuses a number in the words of other errors.
func Number() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(
			kong.KindMapper(reflect.Int, kong.MapperFunc(setInt)).Apply(k),
			kong.KindMapper(reflect.Int64, kong.MapperFunc(setInt)).Apply(k),
			kong.KindMapper(reflect.Uint, kong.MapperFunc(setUint)).Apply(k),
			kong.KindMapper(reflect.Uint64, kong.MapperFunc(setUint)).Apply(k),
		)
	})
}

func setInt(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx, "number")
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 0, target.Type().Bits())
	if err != nil {
		return fmt.Errorf("is %q: it must be a whole number", text)
	}
	target.SetInt(n)
	return nil
}

func setUint(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx, "number")
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(text, 0, target.Type().Bits())
	if err != nil {
		return fmt.Errorf("is %q: it must be a whole number of 0 or more", text)
	}
	target.SetUint(n)
	return nil
}
