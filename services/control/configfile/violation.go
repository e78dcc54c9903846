package configfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Violation is one error in a file.
type Violation struct {
	File string // as given by the caller
	Line int    // 0 if it concerns the whole file
	Text string
}

// String formats the violation like a compiler error: "vespo.toml:12: text".
func (v Violation) String() string {
	if v.Line == 0 {
		return v.File + ": " + v.Text
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Text)
}

// Violations is the list of all errors in a file. As an error it is never empty.
type Violations []Violation

func (v Violations) Error() string {
	texts := make([]string, 0, len(v))
	for _, one := range v {
		texts = append(texts, one.String())
	}
	return strings.Join(texts, "\n")
}

// And returns v and, if err is Violations, those too, ordered by line.
func (v Violations) And(err error) Violations {
	var more Violations
	if !errors.As(err, &more) {
		return v
	}
	all := slices.Concat(v, more)
	slices.SortStableFunc(all, func(a, b Violation) int { return cmp.Compare(a.Line, b.Line) })
	return all
}

// orNil returns v as an error, or nil if it is empty.
func (v Violations) orNil() error {
	if len(v) == 0 {
		return nil
	}
	return v
}
