package admin

import (
	"fmt"

	"github.com/vespo-dev/vespo/registry"
)

// Description is a service as described by the fields of a request or of a file.
type Description struct {
	Prefix   registry.Prefix
	Options  registry.Options
	Kind     string   // empty for a module that serves requests
	Document []byte   // of a kind without a module; else nil
	Use      []string // values of the field use; the caller interprets them
	Module   string   // value of the field module, empty with a document; the caller interprets it
}

// Describe reads a JSON object with the fields of a request to add a service, and module as a string. All
// callers thereby support the same fields and kinds as the API. noun is the word for a field in the
// violations.
func Describe(noun string, object []byte) (Description, []string) {
	f := newFields(noun, optionFields(fieldPrefix, fieldModule)...)
	if !f.addJSON(object) {
		return Description{}, f.violations
	}
	d := Description{Prefix: f.prefix(), Options: f.options(), Module: f.values[fieldModule], Use: f.lists[fieldUse]}
	d.Kind, d.Document = f.bound(fieldModule)
	switch {
	case d.Document != nil:
		d.Module = ""
	case !f.claimed[fieldModule]:
		f.missing(fieldModule, "give the file of the module"+orElse)
	case d.Module == "":
		f.violatef("%s module is empty: give the file of the module", noun)
	}
	if f.more > 0 {
		f.violations = append(f.violations, fmt.Sprintf("and %d more", f.more))
	}
	return d, f.violations
}
