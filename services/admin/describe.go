package admin

import (
	"fmt"

	"github.com/vespo-dev/vespo/registry"
)

// Description is a service as fields describe it, in a request or elsewhere.
type Description struct {
	Prefix   registry.Prefix
	Options  registry.Options
	Kind     string   // empty for a module that serves requests
	Document []byte   // of a kind that has no module; else nil
	Use      []string // as the field use has it; what it means is the caller's to say
	Module   string   // as the field module has it, empty beside a document; what it means is the caller's to say
}

// Describe reads a JSON object that has the fields of a request to add a service, with module as a string. So whatever else describes
// services has the same fields, and takes new kinds as soon as requests do. The noun is what a field is called in the violations.
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
