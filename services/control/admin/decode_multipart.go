package admin

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
)

const (
	maxParts      = 400     // of a form, including unknown ones
	maxFieldBytes = 4 << 10 // of a field other than a file
)

// multipartDecoder returns a decoder of forms, whose parts hold the fields and the module in any order.
func (d *decoder) multipartDecoder(boundary string) func(*http.Request, *client.Body) (*addRequest, error) {
	return func(r *http.Request, body *client.Body) (*addRequest, error) {
		in := fields.New(d.changeFields(moduleField())...)
		refuseQuery(in, r)
		if boundary == "" {
			in.Violate("", "the Content-Type has no boundary: let the client that builds the form set the header")
			return nil, in.Err()
		}
		p := &parts{decoder: d, fields: in, uploads: make(map[int][]byte)}
		if err := p.read(multipart.NewReader(r.Body, boundary), body); err != nil {
			return nil, err
		}
		req := d.newAddRequest(in, p.uploads, "module is missing: give the module as a file, such as curl -F module=@hello.wasm")
		req.module = p.module
		if in.Has(schema.FieldModule) && len(p.module) == 0 {
			in.Violate(schema.FieldModule, emptyModule)
		}
		return req, in.Err()
	}
}

// moduleField describes the module as a part of a form.
func moduleField() schema.Field {
	return schema.Field{Name: schema.FieldModule, Type: schema.Blob, Form: "FILE", Help: "The WebAssembly module."}
}

// parts collects the parts of a form.
type parts struct {
	decoder *decoder
	fields  *fields.Input
	module  []byte
	uploads map[int][]byte // modules among the values of use, by index
}

// read reads the whole form.
func (p *parts) read(form *multipart.Reader, body *client.Body) error {
	for count := 0; ; count++ {
		part, err := form.NextRawPart()
		if err == io.EOF { // the end of the form; a wrapped EOF is a truncated form
			return nil
		}
		if err != nil {
			return formProblem(err, body)
		}
		if count == maxParts {
			p.fields.Violate("", "the form has more than %d parts", maxParts)
			return p.fields.Err()
		}
		if err := p.readPart(part); err != nil {
			return formProblem(err, body)
		}
	}
}

// readPart reads one part.
func (p *parts) readPart(part *multipart.Part) (err error) {
	name := part.FormName()
	if name == "" {
		p.fields.Violate("", "a part of the form has no name")
		return nil
	}
	switch encoding := part.Header.Get("Content-Transfer-Encoding"); strings.ToLower(encoding) {
	case "", "7bit", "8bit", "binary":
	default:
		p.fields.Violate(name, "has the Content-Transfer-Encoding %.40q: send it as it is", encoding)
		return nil
	}
	if !p.fields.Claim(name) {
		return nil
	}
	switch {
	case name == schema.FieldModule:
		p.module, err = p.decoder.readPartModule(part)
		return err
	case name == schema.FieldUse && part.FileName() != "":
		module, err := p.decoder.readPartModule(part)
		p.uploads[len(p.fields.Texts(name))] = module
		p.fields.Set(name, "")
		return err
	}
	isFile, maxBytes := part.FileName() != "" && p.fields.TakesFile(name), maxFieldBytes
	if isFile || p.fields.TakesText(name) {
		maxBytes = schema.MaxTextBytes
	}
	value, err := io.ReadAll(io.LimitReader(part, int64(maxBytes)+1))
	switch {
	case len(value) > maxBytes:
		p.fields.Violate(name, "is longer than %d bytes", maxBytes)
	case isFile:
		p.fields.SetFile(name, value)
	default:
		p.fields.Set(name, string(value))
	}
	return err
}

// readPartModule reads a part that is a module.
func (d *decoder) readPartModule(part *multipart.Part) ([]byte, error) {
	module, err := readModule(io.LimitReader(part, d.maxModuleBytes+1), 0)
	if int64(len(module)) > d.maxModuleBytes {
		return nil, client.TooLong(d.maxModuleBytes)
	}
	return module, err
}

// formProblem distinguishes transport errors from malformed forms.
func formProblem(err error, body *client.Body) error {
	p := bodyProblem(err, body)
	var told *problem.Problem
	if errors.As(p, &told) && told.Kind() != problem.BadRequest {
		return p
	}
	return problem.Newf(problem.BadRequest,
		"the form is malformed or ends early, after %d bytes; nothing was changed", body.Received()).WithCause(err)
}
