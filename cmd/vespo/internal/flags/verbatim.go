package flags

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"
)

// Verbatim returns the option by which kong leaves the bytes of strings and paths as they are. By itself, it passes values
// through JSON, which replaces bytes that are not UTF-8: files with such names were not found, and values were changed.
// Items of lists with separators are UTF-8 all the same.
func Verbatim() kong.Option {
	return kong.OptionFunc(func(k *kong.Kong) error {
		return errors.Join(
			kong.KindMapper(reflect.String, kong.MapperFunc(setString)).Apply(k),
			kong.KindMapper(reflect.Map, kong.MapperFunc(setPair)).Apply(k),
			kong.NamedMapper("path", kong.MapperFunc(setPath)).Apply(k),
		)
	})
}

// setPair adds the next value, KEY=VALUE, to a map of strings.
func setPair(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx, "map")
	if err != nil {
		return err
	}
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("must be NAME=VALUE")
	}
	if target.IsNil() {
		target.Set(reflect.MakeMap(target.Type()))
	}
	target.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
	return nil
}

// setString sets a string to the next value.
func setString(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx, "string")
	if err == nil {
		target.SetString(text)
	}
	return err
}

// setPath sets a string to the next value as an absolute path, or a slice to all paths of the next value.
func setPath(ctx *kong.DecodeContext, target reflect.Value) error {
	text, err := popText(ctx, "file")
	if err != nil {
		return err
	}
	if target.Kind() != reflect.Slice {
		target.SetString(expand(text))
		return nil
	}
	for _, path := range kong.SplitEscaped(text, ctx.Value.Tag.Sep) {
		target.Set(reflect.Append(target, reflect.ValueOf(expand(path))))
	}
	return nil
}

// expand returns an absolute path, or "-" for a standard stream.
func expand(path string) string {
	if path == "-" {
		return path
	}
	return kong.ExpandPath(path)
}

// popText returns the next value. Resolvers may give values that are no strings.
func popText(ctx *kong.DecodeContext, context string) (string, error) {
	if ctx.Scan.Peek().IsEOL() {
		return "", errors.New("missing value")
	}
	token, err := ctx.Scan.PopValue(context)
	if err != nil {
		return "", err
	}
	text, ok := token.Value.(string)
	if !ok {
		return "", fmt.Errorf("expected a string but got %v", token.Value)
	}
	return text, nil
}
