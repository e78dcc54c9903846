package flags

import (
	"os"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"
)

// WithoutEmpty lets flags ignore environment variables that are empty, as those that a container is given from a variable
// without a value: kong would take one for a value of the flag. Flags that are pointers tell an empty value from none.
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
