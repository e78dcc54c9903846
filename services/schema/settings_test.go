package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// configField is a field of type Config.
func configField() schema.Field {
	return schema.Field{Name: "config", Type: schema.Config, Form: "NAME=VALUE", Secret: true}
}

// Any bytes survive a manifest, and equal Settings have equal manifests.
func FuzzSettingsText(f *testing.F) {
	for _, text := range []string{"a=b", `{"directives":["SecRuleEngine On"]}`, "\x00", "\xff\xfe", "a\r\n\tb", "<&>", "\u2028", `{"=base64":"AA=="}`, "\u0085"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		given := schema.Settings{Text: text}
		values := make(schema.Values)
		values.Put(configField(), given)
		m := values.Manifest()
		back, err := schema.ParseManifest([]schema.Field{configField()}, m)
		require.NoError(t, err)
		require.Equal(t, m, back.Manifest())
		if text == "" {
			require.Empty(t, back)
			return
		}
		require.Equal(t, given, back["config"])
		require.LessOrEqual(t, len(m), 2*len(text)+40)
		var object map[string]any // as the catalogue decodes it
		require.NoError(t, json.Unmarshal([]byte(m), &object))
		again, err := registry.EncodeManifest(object)
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}

// A text is longest in a manifest if all of its characters have escapes, or if it is encoded.
func TestTwoTextsOfTheMaximumSizeFitIntoAManifest(t *testing.T) {
	one, two := configField(), configField()
	two.Name = schema.FieldUseConfig
	for _, char := range []string{"\"", "\n", "\x00", "<", "\xff"} {
		text := schema.Settings{Text: strings.Repeat(char, schema.MaxTextBytes)}
		given := schema.Values{one.Name: text, two.Name: text}
		values, err := schema.ParseManifest([]schema.Field{one, two}, given.Manifest())
		require.NoError(t, err, "%q", char)
		require.Equal(t, given, values)
	}
}

func TestSettingsOfJSON(t *testing.T) {
	for text, want := range map[string]schema.Settings{
		`{"b":"2","a":"<1>"}`: {ByName: map[string]string{"a": "<1>", "b": "2"}},
		`{}`:                  {ByName: map[string]string{}},
		`""`:                  {},
		`"\u0000 text"`:       {Text: "\x00 text"},
		`{"=base64":"//4A"}`:  {Text: "\xff\xfe\x00"},
	} {
		value, refused := configField().ParseJSON(json.RawMessage(text))
		require.Empty(t, refused, text)
		require.Equal(t, want, value, text)
	}
	for text, want := range map[string]string{
		`7`:                          "must be an object of strings",
		`null`:                       "must be an object of strings",
		`["a=b"]`:                    "must be an object of strings",
		`{"a":1}`:                    "must be an object of strings",
		`{"":"secret"}`:              "must be NAME=VALUE",
		`{"=base64":"secret"}`:       `or bytes as {"=base64": "..."}`,
		`{"=base64":"AA==","a":"b"}`: `or bytes as {"=base64": "..."}`,
	} {
		_, refused := configField().ParseJSON(json.RawMessage(text))
		require.Contains(t, refused, want, text)
		require.NotContains(t, refused, "secret")
	}
	_, refused := configField().Parse("=base64=AA==")
	require.Equal(t, "must be NAME=VALUE", refused, "no setting has the name of the encoded form")
}

func TestRefusedListsShowTheirOwnExample(t *testing.T) {
	for example, want := range map[string]string{
		"":                         "must be an array of strings",
		"https://api.example.com":  `must be an array of strings, such as ["https://api.example.com"]`,
		"'*/5 * * * * POST /tick'": `must be an array of strings, such as ["*/5 * * * * POST /tick"]`,
		"zone=a or gpu":            `must be an array of strings, such as ["zone=a"]`,
	} {
		_, refused := schema.Field{Type: schema.Texts, Example: example}.ParseJSON(json.RawMessage(`"x"`))
		require.Equal(t, want, refused)
	}
}

func TestSettingsAreSummarised(t *testing.T) {
	require.Equal(t, "a, b", schema.Settings{ByName: map[string]string{"b": "secret", "a": "secret"}}.Summary())
	require.Equal(t, "6 bytes", schema.Settings{Text: "secret"}.Summary())
	require.Empty(t, schema.Settings{}.Summary())
}

// Kinds that only have settings by name refuse a text.
func TestSettingsAreAdapted(t *testing.T) {
	pairs := schema.Field{Name: "config", Type: schema.Pairs, Form: "NAME=VALUE"}
	byName := map[string]string{"a": "b"}
	value, refused := pairs.Adapt(schema.Settings{ByName: byName})
	require.Empty(t, refused)
	require.Equal(t, byName, value)
	_, refused = pairs.Adapt(schema.Settings{Text: "secret"})
	require.Equal(t, "is one text: this kind of service has settings by name, NAME=VALUE", refused)
	for _, other := range []any{nil, "text", byName} {
		value, refused = pairs.Adapt(other)
		require.Empty(t, refused)
		require.Equal(t, other, value)
	}
	require.NotContains(t, strings.ToLower(refused), "secret")
}

// TestNumbersThatAreRefusedAreNamed has numbers of JSON, whose errors are those of texts.
func TestNumbersThatAreRefusedAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		`-1`:         `is "-1": it must be a whole number from 0 to 2147483647`,
		`1.5`:        `is "1.5": it must be a whole number from 0 to 2147483647`,
		`2147483648`: `is "2147483648": it must be a whole number from 0 to 2147483647`,
		`"-1"`:       `is "-1": it must be a whole number from 0 to 2147483647`,
		`2147483647`: "",
		`0`:          "",
		`null`:       "must be a whole number",
		`[1]`:        "must be a whole number",
		`true`:       "must be a whole number",
	} {
		_, refused := schema.Field{Type: schema.Count}.ParseJSON(json.RawMessage(text))
		require.Equal(t, want, refused, text)
	}
	_, refused := schema.Field{Type: schema.Amount}.ParseJSON(json.RawMessage(`-1`))
	require.Equal(t, `is "-1": it must be a whole number from 0 to 9007199254740991`, refused)
}
