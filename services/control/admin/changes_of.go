package admin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/schema"
)

// fact is one property of a version, in the form in which it is shown.
type fact struct {
	text     string
	settings schema.Settings // secrets, in place of text: only the names are shown
}

func (x fact) empty() bool { return x.text == "" && x.settings.IsZero() }

func (x fact) equal(y fact) bool { return x.text == y.text && x.settings.Equal(y.settings) }

// changesOf describes what a deploy has changed and which options it has kept, one per line.
func changesOf(kinds schema.Kinds, result deploy.Result) (changes, kept []string) {
	if result.Created {
		return nil, nil
	}
	changes = []string{}
	before, after := factsOf(kinds, result.Before), factsOf(kinds, result.Service.Current)
	for _, f := range factFields(kinds) {
		x, y := before[f.Name], after[f.Name]
		switch {
		case x.equal(y) && (y.empty() || f.Name == factKind || f.Name == schema.FieldModule):
		case x.equal(y):
			kept = append(kept, f.Name+shown(f, y))
		default:
			changes = append(changes, f.Name+": "+difference(f, x, y))
		}
	}
	return changes, kept
}

// shown returns the text that follows the name of a fact.
func shown(f schema.Field, x fact) string {
	switch {
	case !x.settings.IsZero():
		return ": " + x.settings.Summary()
	case x.text != "" && !f.Secret:
		return ": " + x.text
	}
	return ""
}

// difference describes a change. Values that may be secrets are not shown.
func difference(f schema.Field, x, y fact) string {
	switch {
	case f.Secret && (f.Type == schema.Pairs || f.Type == schema.Config):
		return settingChanges(x.settings, y.settings)
	case f.Secret:
		return "changed"
	}
	absent := "default"
	switch {
	case f.Type.IsBool():
		absent = "false"
	case f.Type.IsList() || f.Type.IsBlob():
		absent = "none"
	}
	or := func(text string) string {
		if text == "" {
			return absent
		}
		return text
	}
	return or(x.text) + " -> " + or(y.text)
}

// settingChanges describes a change of settings by their names, and one from or to a text by its size.
func settingChanges(x, y schema.Settings) string {
	before, after := cmp.Or(x.Summary(), "none"), cmp.Or(y.Summary(), "none")
	switch {
	case x.Text == "" && y.Text == "":
		return pairChanges(x.ByName, y.ByName)
	case before == after:
		return "changed, " + after
	}
	return before + " -> " + after
}

func pairChanges(x, y map[string]string) string {
	both := maps.Clone(x)
	if both == nil {
		both = make(map[string]string)
	}
	maps.Copy(both, y)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(both)) {
		was, had := x[name]
		is, has := y[name]
		switch {
		case !had:
			changes = append(changes, name+" added")
		case !has:
			changes = append(changes, name+" removed")
		case was != is:
			changes = append(changes, name+" changed")
		}
	}
	return strings.Join(changes, ", ")
}

// factKind is the name of the kind among the facts.
const factKind = "kind"

// factFields returns the fields of all facts, in display order.
func factFields(kinds schema.Kinds) []schema.Field {
	all := append([]schema.Field{{Name: factKind, Type: schema.Text}}, kinds.AllFields()...)
	slices.SortStableFunc(all, func(a, b schema.Field) int { return rank(a) - rank(b) })
	return all
}

// rank orders facts: first what the service is, then the fields that all kinds share.
func rank(f schema.Field) int {
	switch {
	case f.Name == factKind || f.Type == schema.Blob:
		return 0
	case f.Common:
		return 1
	}
	return 2
}

// factsOf returns the facts of a version. A manifest that is not one of the kind has no fields.
func factsOf(kinds schema.Kinds, v registry.Version) map[string]fact {
	facts := map[string]fact{factKind: {text: v.Kind}}
	kind, _ := kinds.Get(v.Kind)
	values, form, err := kind.ValuesOf(v)
	if err != nil {
		return facts
	}
	for _, f := range form.Fields {
		var x fact
		switch value := values[f.Name]; {
		case f.Type.IsBlob():
			x.text = digestsText(v.BlobsOf(f.Name))
		case f.Secret && f.Type == schema.Pairs:
			x.settings.ByName, _ = value.(map[string]string)
		case f.Type == schema.Config:
			x.settings, _ = value.(schema.Settings)
		case f.Secret:
			x.text = secretText(values[f.Name])
		case f.Type == schema.Contents:
			text, _ := value.(string)
			x.text = contentsText(text)
		default:
			x.text = f.Show(values[f.Name])
		}
		facts[f.Name] = x
	}
	return facts
}

// secretText returns a text that two values share only if they are equal. It is not shown.
func secretText(value any) string {
	list, _ := value.([]string)
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\x00") + "\x00"
}

// contentsText returns a short text that two values share only if they are equal.
func contentsText(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("%d bytes (%s)", len(text), shortDigest(registry.DigestOf([]byte(text))))
}

func digestsText(digests []registry.Digest) string {
	var texts []string
	for _, digest := range digests {
		texts = append(texts, shortDigest(digest))
	}
	return strings.Join(texts, ", ")
}

// shortDigest returns a prefix of d that is long enough to distinguish versions.
func shortDigest(d registry.Digest) string {
	const scheme, digits = len("sha256:"), 12
	return string(d[:min(len(d), scheme+digits)])
}
