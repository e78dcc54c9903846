package redirect

import (
	"net/url"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "redirect"

// maxTargetBytes leaves room for the rest of the path in the header of a response.
const maxTargetBytes = 2 << 10

// Document is the configuration of a redirect: the fields of [Description].
type Document struct {
	Target    string `json:"redirect"`
	Permanent bool   `json:"permanent,omitempty"`
	DropPath  bool   `json:"drop_path,omitempty"`
	DropQuery bool   `json:"drop_query,omitempty"`
}

// Description describes the kind.
func Description() schema.Kind {
	return schema.Kind{
		Name:  KindName,
		Title: "a redirect",
		Forms: []schema.Form{{Requires: []string{fieldTarget}, Fields: fields(), Delegated: true}},
	}
}

// fieldTarget is the field that violations are about.
const fieldTarget = "redirect"

func fields() []schema.Field {
	return []schema.Field{
		{
			Name:    fieldTarget,
			Type:    schema.Text,
			Form:    "URL",
			Help:    "Send clients to this URL, such as https://new.example.com/base, or to this path of the same host, such as /new. With https:// alone, they are sent to the same URL over HTTPS.",
			Example: "https://new.example.com",
		},
		{
			Name: "permanent",
			Type: schema.Bool,
			Help: "Answer 308, which clients and search engines remember, in place of 307.",
		},
		{
			Name: "drop_path",
			Type: schema.Bool,
			Help: "Leave the rest of the path after the prefix away.",
		},
		{
			Name: "drop_query",
			Type: schema.Bool,
			Help: "Leave the query away.",
		},
	}
}

// Encode returns the manifest. Equal documents have equal manifests.
func (d Document) Encode() registry.Manifest { return schema.Encode(fields(), d) }

// Decode reads a manifest. It checks the syntax only. The error is safe to return to the client.
func Decode(m registry.Manifest) (Document, error) { return schema.Decode[Document](m) }

// plan is a valid document in its parsed form.
type plan struct {
	Document
	site    string // scheme and host of the target, empty for the same
	path    string // escaped path of the target
	query   string // of the target
	upgrade bool   // to the same URL over HTTPS
}

// plan parses the document and returns all violations.
func (d Document) plan() (plan, []problem.Violation) {
	refuse := func(format string, args ...any) (plan, []problem.Violation) {
		return plan{}, []problem.Violation{problem.Violate(fieldTarget, format, args...)}
	}
	u, err := url.Parse(d.Target)
	switch {
	case len(d.Target) > maxTargetBytes:
		return refuse("has %d bytes: at most %d are accepted", len(d.Target), maxTargetBytes)
	case err != nil || strings.ContainsFunc(d.Target, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }):
		return refuse("is %.100q: it must be a URL such as https://new.example.com/base, with other characters escaped", d.Target)
	case u.User != nil || u.Fragment != "" || strings.Contains(d.Target, "#"):
		return refuse("is %.100q: it must have neither a user nor a fragment", d.Target)
	case d.Target == "https://":
		return plan{Document: d, upgrade: true}, nil
	case strings.HasPrefix(d.Target, "/") && !strings.HasPrefix(d.Target, "//"):
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
	default:
		return refuse("is %.100q: it must begin with https:// or http:// and a host, or be a path that begins with one /, or be https:// alone", d.Target)
	}
	p := plan{Document: d, path: u.EscapedPath(), query: u.RawQuery}
	if u.Host != "" {
		p.site = u.Scheme + "://" + u.Host
	}
	return p, nil
}
