package configfile

import (
	"fmt"
	"strings"
)

// Violation is one thing that is wrong with a file.
type Violation struct {
	File string // as it was given
	Line int    // 0 if it is about the file as a whole
	Text string
}

// String gives the violation as compilers do: "vespo.toml:12: what is wrong".
func (v Violation) String() string {
	if v.Line == 0 {
		return v.File + ": " + v.Text
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Text)
}

// Violations are all that is wrong with a file. As an error they are never empty.
type Violations []Violation

func (v Violations) Error() string {
	texts := make([]string, 0, len(v))
	for _, one := range v {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, "\n")
}

// orNil is for returning as an error.
func (v Violations) orNil() error {
	if len(v) == 0 {
		return nil
	}
	return v
}
