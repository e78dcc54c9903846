package admin

import (
	"io"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/egress/fetch"
	"github.com/vespo-dev/vespo/services/schema"
)

// sourceField describes the address of the module in a JSON request.
func sourceField() schema.Field {
	return schema.Field{Name: fieldSource, Type: schema.Text, Form: "URL", Help: "Address of the module, which the server fetches."}
}

// exampleObject is a body for messages.
const exampleObject = `{"prefix": "hello", "source": "https://example.com/hello.wasm"}`

// decodeJSON reads Frenezulo's form: a JSON object with a prefix and the address of the module.
func (d *decoder) decodeJSON(r *http.Request, body *client.Body) (*addRequest, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyProblem(err, body)
	}
	in := fields.New(d.changeFields(sourceField(), checkField())...)
	refuseQuery(in, r)
	if !in.AddJSON(text, exampleObject) {
		return nil, in.Err()
	}
	check := in.Bool(fieldCheck)
	switch {
	case check:
		in.Imply(schema.FieldModule, fieldCheck)
	case in.Has(fieldSource):
		in.Imply(schema.FieldModule, fieldSource)
	}
	req := d.newAddRequest(in, nil, "source is missing: give the http, https or oci address of the module")
	req.source, req.check = sourceOf(in), check
	return req, in.Err()
}

// sourceOf returns the address of the module, or nil if none was given.
func sourceOf(in *fields.Input) *fetch.Source {
	if !in.Has(fieldSource) || in.Value(fieldSource) == nil {
		return nil
	}
	source, err := fetch.ParseSource(in.Text(fieldSource))
	if err != nil {
		in.Violate(fieldSource, "%s", strings.TrimPrefix(err.Error(), fieldSource+" "))
		return nil
	}
	return &source
}
