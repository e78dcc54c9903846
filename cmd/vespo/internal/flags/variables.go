package flags

import (
	"os"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"
)

// WithoutEmpty lets flags ignore empty environment variables, such as a container's from an unset variable: kong would take
// an empty one for a value of the flag. Flags that are pointers tell an empty value from none.
func WithoutEmpty(node *kong.Node) {
	for _, flag := range node.Flags {
		if flag.Target.Kind() != reflect.Pointer {
			flag.Tag.Envs = slices.DeleteFunc(slices.Clone(flag.Tag.Envs), empty)
		}
	}
	for _, child := range node.Children {
		WithoutEmpty(child)
	}
}

// empty reports whether a variable is set to an empty value.
func empty(name string) bool {
	value, set := os.LookupEnv(name)
	return set && value == ""
}
